"""Deployments that roll out after some virtual seconds, with a pod each: enough of a controller for the engine."""

from __future__ import annotations

from bench import put, session
from toymesh import kinds, shop

from meshup.cluster.connect import over
from meshup.model.objects import dig, ref_of
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.users import CONTROL_PLANE
from meshup.simulate.clock import VirtualClock


class Rolling:
    """A server whose Deployments are rolled out `takes_s` after each change of their template."""

    def __init__(self, names, *, takes_s=3.0, stuck=()):
        self.clock = VirtualClock()
        self.server = ApiServer(self.clock)
        self.plain = over(self.server.as_user(CONTROL_PLANE), self.clock, in_flight=1)
        self.takes_s, self.stuck = takes_s, set(stuck)
        self._due: dict[tuple[str, str], tuple[int, float]] = {}
        self.moving_most = 0
        put(self.plain, shop(names))
        self.clock.every(1.0, self._tick)
        self.clock.advance(takes_s + 3.0)

    def _tick(self):
        now = self.clock.elapsed()
        moving = 0
        for each in list(self.plain.list("apps/v1", "Deployment")):
            meta = each["metadata"]
            key, generation = (meta["namespace"], meta["name"]), meta["generation"]
            if dig(each, "status", "observedGeneration") == generation and dig(each, "status", "availableReplicas"):
                continue
            due = self._due.get(key)
            if due is None or due[0] != generation:
                self._due[key] = due = (generation, now + self.takes_s)
            if now < due[1] or meta["name"] in self.stuck:
                moving += 1
                continue
            self._roll(each)
        self.moving_most = max(self.moving_most, moving)

    def _roll(self, obj):
        meta, count = obj["metadata"], dig(obj, "spec", "replicas")
        for pod in list(self.plain.list("v1", "Pod", namespace=meta["namespace"], labels=f"app={meta['name']}")):
            self.plain.delete(ref_of(pod), uid=pod["metadata"]["uid"])
        labels = dig(obj, "spec", "template", "metadata", "labels")
        for number in range(count):
            body = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"{meta['name']}-{number}", "namespace": meta["namespace"], "labels": labels},
                "spec": dig(obj, "spec", "template", "spec"),
            }
            self.plain.create(body, manager="controller")
            self.plain.update_status(ref_of(body), {"phase": "Running"}, manager="controller")
        fields = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        status = {"observedGeneration": meta["generation"], **dict.fromkeys(fields, count)}
        self.plain.update_status(ref_of(obj), status, manager="controller")

    def session(self, *, cluster=None, **more):
        """Make a session of a process of its own. cluster: how it speaks to the server, None = directly."""
        steps, gates = kinds()
        more.setdefault("gates", gates)
        return session(cluster or over(self.server, self.clock, in_flight=1), steps=steps, **more)

    def templates(self, namespace="shop"):
        """Give name -> labels of each template."""
        return {
            each["metadata"]["name"]: dig(each, "spec", "template", "metadata", "labels")
            for each in self.plain.list("apps/v1", "Deployment", namespace=namespace)
        }
