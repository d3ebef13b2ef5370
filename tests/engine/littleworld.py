"""A small cluster in memory: configurations that a plan changes, a lock, a journal, and nothing that rolls."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from bench import put, session
from killing import Killer
from toymesh import STRICT, book, gate, kinds, shop

from meshup.cluster.connect import over
from meshup.model.change import Apply, Label
from meshup.model.objects import Ref, ref_of
from meshup.model.runbook import Stage, StepSpec, Wave
from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock
from meshup.steps.step import Draft, Drafted

NAMES = ("existing", "fresh-1", "fresh-2", "labelled", "policy-web", "policy-pay")


def config(name, labels=None, **data):
    """A ConfigMap of the shop."""
    meta = {"name": name, "namespace": "shop", **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


class Put:
    """Applies to one that exists, makes two, and moves labels of a fourth."""

    kind = "put"
    title = "configurations are there"
    needs = frozenset()
    params = MappingProxyType({})
    force = ("data.a",)

    def draft(self, scope):
        bodies = [config("existing", a="2"), config("fresh-1", x="1"), config("fresh-2", x="1")]
        drafts = [
            Draft(
                change=Apply(on=ref_of(body), body=body, force=self.force),
                step=self.kind,
                summary=f"put {body['metadata']['name']}",
            )
            for body in bodies
        ]
        on = Ref(api_version="v1", kind="ConfigMap", namespace="shop", name="labelled")
        there = scope.snapshot.get(on)
        now = {} if there is None else there["metadata"].get("labels") or {}
        wanted = {"new": "1", "old": None, "kept": "2"}
        drafts.append(
            Draft(
                change=Label(
                    on=on,
                    at=("metadata", "labels"),
                    set=wanted,
                    before={key: now.get(key) for key in wanted},
                    uid="" if there is None else there["metadata"]["uid"],
                    force=("metadata.labels.old", "metadata.labels.kept"),
                ),
                step="label",
                summary="move labels",
                service="shop/web",
            )
        )
        return Drafted(drafts=tuple(drafts))


FIRST = Stage(name="first", steps=(StepSpec(kind="put", params={}),), gates=(gate("says"),))
BOOK = replace(
    book({"w": ["web", "pay"]}),
    stages=(FIRST, replace(STRICT, waves=("w",))),
    waves=(Wave(name="w", services=("shop/web", "shop/pay")),),
)
START = (
    *shop(["web", "pay"]),
    config("existing", a="1", b="b"),
    config("labelled", labels={"old": "1", "kept": "1"}, c="d"),
)


class World:
    """A server with the start in it, doors to it, and what is there."""

    def __init__(self):
        self.clock = VirtualClock()
        self.server = ApiServer(self.clock)
        self.plain = over(self.server, self.clock, in_flight=1)
        put(self.plain, START)
        self.steps, _ = kinds()
        self.steps["put"] = Put()

    def door(self, *, at=0, when="before"):
        """Open a door that dies at a write, 0 = never; give it with its transport."""
        killer = Killer(self.server, at=at, when=when)
        return over(killer, self.clock, in_flight=1), killer

    def session(self, cluster=None, **more):
        """Make a session of a process of its own."""
        found = cluster if cluster is not None else self.door()[0]
        more.setdefault("gates", kinds()[1])
        return session(found, steps=self.steps, **more)

    def state(self):
        """Give what there is of the shop's configurations: data, labels and annotations."""
        found = {}
        for name in NAMES:
            there = self.plain.find(Ref(api_version="v1", kind="ConfigMap", namespace="shop", name=name))
            if there is None:
                found[name] = None
                continue
            meta = there["metadata"]
            found[name] = (dict(there.get("data") or {}), meta.get("labels") or {}, meta.get("annotations") or {})
        return found

    def result(self):
        """Give the state without the values of marks, which name the run."""
        return {
            name: None if kept is None else (kept[0], kept[1], sorted(kept[2])) for name, kept in self.state().items()
        }
