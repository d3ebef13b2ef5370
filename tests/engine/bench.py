"""A session on a cluster for the engine's tests, with everything that was told and sent kept."""

from __future__ import annotations

from dataclasses import replace

from toymesh import ToyDriver, kinds

from meshup.engine.session import Session
from meshup.journal.holder import Holder
from meshup.model.snapshot import Identity


class Told:
    """A watcher that keeps every event."""

    def __init__(self):
        self.events = []

    def tell(self, event):
        self.events.append(event)

    def named(self, kind):
        return [each for each in self.events if type(each).__name__ == kind]


def session(cluster, *, user="ana", steps=None, gates=None, **more):
    """Make a session for a user on a cluster that the door opened."""
    usual_steps, usual_gates = kinds()
    identity = cluster.whoami()
    return Session(
        cluster=cluster,
        clock=cluster.clock,
        drivers={"toy": ToyDriver()},
        steps=steps or usual_steps,
        gates=gates or usual_gates,
        identity=replace(identity, user=user) if user else identity,
        holder=Holder(user=user, host="here", pid=1),
        fenced=cluster.fenced,
        watcher=more.pop("watcher", Told()),
        **more,
    )


def put(cluster, objects):
    """Make objects as their owners would."""
    return [cluster.apply(each, manager="kubectl") for each in objects]


def anybody():
    """An identity."""
    return Identity(user="ana")
