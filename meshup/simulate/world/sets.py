"""StatefulSets (ordered, with a partition) and DaemonSets."""

from __future__ import annotations

from meshup.model.objects import dig
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Change, Obj
from meshup.simulate.world.bits import amount, from_template, is_ready, owned_by, template_hash
from meshup.simulate.world.queue import Queue

REVISION = "controller-revision-hash"


class Sets:
    """Both controllers."""

    def __init__(self, server: ApiServer, pods_of: dict[str, set[tuple[str, str]]]) -> None:
        self._server, self._objects, self._pods_of = server, server.objects, pods_of
        self.stateful = Queue(server.clock, self._stateful)
        self.daemons = Queue(server.clock, self._daemon)

    def see(self, change: Change) -> None:
        """Take notice of a change."""
        if change.key == ("apps", "statefulsets"):
            self.stateful.add(change.namespace, change.name)
        elif change.key == ("apps", "daemonsets"):
            self.daemons.add(change.namespace, change.name)
        elif change.key == ("", "pods"):
            owner = owned_by(change.new or change.old or {})
            if owner is not None and owner.get("kind") == "StatefulSet":
                self.stateful.add(change.namespace, str(owner["name"]))
            elif owner is not None and owner.get("kind") == "DaemonSet":
                self.daemons.add(change.namespace, str(owner["name"]))

    def _pods(self, obj: Obj) -> list[Obj]:
        keys = self._pods_of.get(obj["metadata"]["uid"], ())
        found = [self._objects.get("pods", *key) for key in sorted(keys)]
        return [each for each in found if each is not None]

    def _stateful(self, namespace: str, name: str) -> None:
        obj = self._objects.get("statefulsets.apps", namespace, name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return
        spec = obj["spec"]
        want = int(spec.get("replicas", 1))
        new_hash = template_hash(spec["template"])
        old_hash = dig(obj, "status", "currentRevision") or f"{name}-{new_hash}"
        partition = int(dig(spec, "updateStrategy", "rollingUpdate", "partition") or 0)
        pods = {each["metadata"]["name"]: each for each in self._pods(obj)}
        for number in range(want):
            pod = pods.get(f"{name}-{number}")
            if pod is None:
                template = spec["template"]
                made = from_template(
                    obj,
                    template,
                    name=f"{name}-{number}",
                    extra={REVISION: f"{name}-{new_hash}", "apps.kubernetes.io/pod-index": str(number)},
                )
                try:
                    self._objects.create("pods", made)
                except Refusal:
                    self.stateful.add(namespace, name, after_s=5.0)
                break
            if not is_ready(pod):
                break
        else:
            for number in reversed(range(partition, want)):
                pod = pods[f"{name}-{number}"]
                if (
                    dig(pod, "metadata", "labels", REVISION) != f"{name}-{new_hash}"
                    and dig(spec, "updateStrategy", "type") != "OnDelete"
                ):
                    self._objects.delete("pods", namespace, pod["metadata"]["name"])
                    break
        for each in pods.values():
            index = each["metadata"]["name"].rpartition("-")[2]
            if index.isdigit() and int(index) >= want and not each["metadata"].get("deletionTimestamp"):
                self._objects.delete("pods", namespace, each["metadata"]["name"])
        alive = [each for each in pods.values() if not each["metadata"].get("deletionTimestamp")]
        updated = sum(dig(each, "metadata", "labels", REVISION) == f"{name}-{new_hash}" for each in alive)
        ready = sum(is_ready(each) for each in alive)
        done = updated == want and ready == want
        status = {
            "observedGeneration": obj["metadata"].get("generation", 1),
            "replicas": len(alive),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "updatedReplicas": updated,
            "currentReplicas": want if done else len(alive) - updated,
            "updateRevision": f"{name}-{new_hash}",
            "currentRevision": f"{name}-{new_hash}" if done else old_hash,
            "collisionCount": 0,
        }
        self._objects.update_status("statefulsets.apps", namespace, name, status)

    def _daemon(self, namespace: str, name: str) -> None:
        obj = self._objects.get("daemonsets.apps", namespace, name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return
        spec = obj["spec"]
        new_hash = template_hash(spec["template"])
        nodes = [each["metadata"]["name"] for each in self._objects.list("nodes")]
        pods = self._pods(obj)
        alive = [each for each in pods if not each["metadata"].get("deletionTimestamp")]
        by_node = {dig(each, "spec", "nodeName"): each for each in alive}
        leaving = {dig(each, "spec", "nodeName") for each in pods if each["metadata"].get("deletionTimestamp")}
        for node in nodes:
            if node not in by_node and node not in leaving:
                made = from_template(obj, spec["template"], generate=f"{name}-", extra={REVISION: new_hash})
                made["spec"] = {**made["spec"], "nodeName": node}
                try:
                    by_node[node] = self._objects.create("pods", made)
                except Refusal:
                    self.daemons.add(namespace, name, after_s=5.0)
                    break
        away = sum(not is_ready(each) for each in by_node.values()) + len(leaving)
        most = max(1, amount(dig(spec, "updateStrategy", "rollingUpdate", "maxUnavailable") or 1, len(nodes), up=True))
        for each in list(by_node.values()):
            if dig(each, "metadata", "labels", REVISION) != new_hash and away < most:
                self._objects.delete("pods", namespace, each["metadata"]["name"])
                away += 1
        ready = sum(is_ready(each) for each in by_node.values())
        status = {
            "currentNumberScheduled": len(by_node),
            "desiredNumberScheduled": len(nodes),
            "numberMisscheduled": 0,
            "numberReady": ready,
            "numberAvailable": ready,
            "observedGeneration": obj["metadata"].get("generation", 1),
            "updatedNumberScheduled": sum(
                dig(each, "metadata", "labels", REVISION) == new_hash for each in by_node.values()
            ),
        }
        if len(nodes) - ready:
            status["numberUnavailable"] = len(nodes) - ready
        self._objects.update_status("daemonsets.apps", namespace, name, status)
