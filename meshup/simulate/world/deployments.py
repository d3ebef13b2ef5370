"""Deployments and ReplicaSets: rolling updates with surge, pause, refusals that show in conditions."""

from __future__ import annotations

from datetime import datetime

from meshup.model.objects import dig
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Change, Obj
from meshup.simulate.world.bits import amount, condition, from_template, is_ready, owned_by, owner_of, template_hash
from meshup.simulate.world.queue import Queue

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


class Deployments:
    """Both controllers; pods are created through the server's admission like anybody's."""

    def __init__(self, server: ApiServer, pods_of: dict[str, set[tuple[str, str]]]) -> None:
        self._server, self._objects, self._pods_of = server, server.objects, pods_of
        self._sets: dict[str, set[tuple[str, str]]] = {}
        self.deployments = Queue(server.clock, self._deployment)
        self.sets = Queue(server.clock, self._set)

    def see(self, change: Change) -> None:
        """Take notice of a change."""
        kind = change.key
        if kind == ("apps", "deployments"):
            self.deployments.add(change.namespace, change.name)
        elif kind == ("apps", "replicasets"):
            obj = change.new or change.old or {}
            owner = owned_by(obj)
            if owner is not None:
                known = self._sets.setdefault(str(owner["uid"]), set())
                (known.discard if change.kind == "DELETED" else known.add)((change.namespace, change.name))
                self.deployments.add(change.namespace, str(owner["name"]))
            self.sets.add(change.namespace, change.name)
        elif kind == ("", "pods"):
            owner = owned_by(change.new or change.old or {})
            if owner is not None and owner.get("kind") == "ReplicaSet":
                self.sets.add(change.namespace, str(owner["name"]))

    def _owned_sets(self, deployment: Obj) -> list[Obj]:
        keys = self._sets.get(deployment["metadata"]["uid"], ())
        found = [self._objects.get("replicasets.apps", *key) for key in sorted(keys)]
        return [each for each in found if each is not None]

    def _deployment(self, namespace: str, name: str) -> None:
        obj = self._objects.get("deployments.apps", namespace, name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return
        spec = obj["spec"]
        desired = int(spec.get("replicas", 1))
        wanted_hash = template_hash(spec["template"])
        sets = self._owned_sets(obj)
        new = next((each for each in sets if dig(each, "metadata", "labels", HASH) == wanted_hash), None)
        paused = bool(spec.get("paused"))
        if new is not None and int(new["spec"].get("minReadySeconds") or 0) != int(spec.get("minReadySeconds") or 0):
            new = self._ready_after(new, int(spec.get("minReadySeconds") or 0))
            sets = [new if each["metadata"]["name"] == new["metadata"]["name"] else each for each in sets]
        if new is None and not paused:
            new = self._new_set(obj, sets, wanted_hash)
            sets.append(new)
        old = [each for each in sets if new is None or each["metadata"]["name"] != new["metadata"]["name"]]
        if new is not None and not paused:
            self._roll(obj, new, old, desired)
        self._status(obj, new, [*old, *([new] if new else [])], desired)

    def _new_set(self, obj: Obj, sets: list[Obj], wanted_hash: str) -> Obj:
        spec = obj["spec"]
        labels = {**(dig(spec, "template", "metadata", "labels") or {}), HASH: wanted_hash}
        revision = 1 + max((int(dig(each, "metadata", "annotations", REVISION) or 0) for each in sets), default=0)
        made = self._objects.create(
            "replicasets.apps",
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{obj['metadata']['name']}-{wanted_hash}",
                    "namespace": obj["metadata"]["namespace"],
                    "labels": labels,
                    "annotations": {REVISION: str(revision)},
                    "ownerReferences": [owner_of(obj)],
                },
                "spec": {
                    "replicas": 0,
                    **({"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}),
                    "selector": {"matchLabels": {**(dig(spec, "selector", "matchLabels") or {}), HASH: wanted_hash}},
                    "template": {
                        **spec["template"],
                        "metadata": {**(spec["template"].get("metadata") or {}), "labels": labels},
                    },
                },
            },
        )
        self._sets.setdefault(obj["metadata"]["uid"], set()).add(
            (obj["metadata"]["namespace"], made["metadata"]["name"])
        )
        return made

    def _ready_after(self, obj: Obj, seconds: int) -> Obj:
        """Say for how long pods of the newest set must be ready before they count; older sets keep what they have."""
        spec = {key: value for key, value in obj["spec"].items() if key != "minReadySeconds"}
        return self._objects.update(
            "replicasets.apps", {**obj, "spec": {**spec, **({"minReadySeconds": seconds} if seconds else {})}}
        )

    def _roll(self, obj: Obj, new: Obj, old: list[Obj], desired: int) -> None:
        strategy = obj["spec"].get("strategy") or {}
        if strategy.get("type") == "Recreate":
            for each in old:
                self._scale(each, 0)
            if not any(int(dig(each, "status", "replicas") or 0) for each in old):
                self._scale(new, desired)
            return
        rolling = strategy.get("rollingUpdate") or {}
        surge = amount(rolling.get("maxSurge", "25%"), desired, up=True)
        away = amount(rolling.get("maxUnavailable", "25%"), desired, up=False)
        if surge == 0 and away == 0:
            away = 1
        total_old = sum(int(each["spec"].get("replicas", 0)) for each in old)
        now = int(new["spec"].get("replicas", 0))
        if now > desired:
            self._scale(new, desired)
            now = desired
        room = desired + surge - (now + total_old)
        if now < desired and room > 0:
            now = min(desired, now + room)
            self._scale(new, now)
        available = sum(int(dig(each, "status", "availableReplicas") or 0) for each in [*old, new])
        spare = available - max(0, desired - away)
        for each in old:
            size = int(each["spec"].get("replicas", 0))
            healthy = int(dig(each, "status", "availableReplicas") or 0)
            sick = size - healthy
            cut = min(size, sick + max(0, spare)) if size else 0
            if cut > 0:
                spare -= max(0, cut - sick)
                self._scale(each, size - cut)

    def _scale(self, obj: Obj, replicas: int) -> None:
        if int(obj["spec"].get("replicas", 0)) == replicas:
            return
        meta = obj["metadata"]
        live = self._objects.get("replicasets.apps", meta["namespace"], meta["name"])
        if live is not None:
            self._objects.update("replicasets.apps", {**live, "spec": {**live["spec"], "replicas": replicas}})

    def _status(self, obj: Obj, new: Obj | None, sets: list[Obj], desired: int) -> None:
        time = self._server.writes.time()
        fresh = [
            self._objects.get("replicasets.apps", each["metadata"]["namespace"], each["metadata"]["name"]) or each
            for each in sets
        ]

        def total(name: str) -> int:
            return sum(int(dig(each, "status", name) or 0) for each in fresh)

        updated = 0
        if new is not None:
            now = self._objects.get("replicasets.apps", new["metadata"]["namespace"], new["metadata"]["name"]) or new
            updated = int(dig(now, "status", "replicas") or 0)
        replicas, ready, available = total("replicas"), total("readyReplicas"), total("availableReplicas")
        status: Obj = {"observedGeneration": obj["metadata"].get("generation", 1)}
        for name, value in (
            ("replicas", replicas),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", available),
            ("unavailableReplicas", max(0, desired - available)),
        ):
            if value:
                status[name] = value
        old = {each["type"]: each for each in dig(obj, "status", "conditions") or ()}
        conditions = [
            _kept(
                old,
                condition(
                    "Available",
                    "True" if available >= desired else "False",
                    reason="MinimumReplicasAvailable" if available >= desired else "MinimumReplicasUnavailable",
                    message="Deployment has minimum availability."
                    if available >= desired
                    else "Deployment does not have minimum availability.",
                    time=time,
                ),
            ),
            _kept(
                old,
                condition(
                    "Progressing",
                    "True",
                    reason="NewReplicaSetAvailable"
                    if updated >= desired and available >= desired
                    else "ReplicaSetUpdated",
                    message=f'ReplicaSet "{new["metadata"]["name"]}" is progressing.' if new else "paused",
                    time=time,
                ),
            ),
        ]
        failure = next(
            (
                each
                for rs in fresh
                for each in dig(rs, "status", "conditions") or ()
                if each.get("type") == "ReplicaFailure"
            ),
            None,
        )
        if failure is not None:
            conditions.append(_kept(old, failure))
        status["conditions"] = conditions
        self._objects.update_status("deployments.apps", obj["metadata"]["namespace"], obj["metadata"]["name"], status)

    def _set(self, namespace: str, name: str) -> None:
        obj = self._objects.get("replicasets.apps", namespace, name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return
        keys = self._pods_of.get(obj["metadata"]["uid"], ())
        found = [self._objects.get("pods", *key) for key in sorted(keys)]
        alive = [
            each
            for each in found
            if each is not None
            and not each["metadata"].get("deletionTimestamp")
            and dig(each, "status", "phase") not in ("Succeeded", "Failed")
        ]
        want = int(obj["spec"].get("replicas", 0))
        failure: Obj | None = None
        for _ in range(want - len(alive)):
            pod = from_template(obj, obj["spec"]["template"], generate=f"{name}-")
            try:
                alive.append(self._objects.create("pods", pod))
            except Refusal as refusal:
                failure = condition(
                    "ReplicaFailure",
                    "True",
                    reason="FailedCreate",
                    message=refusal.message,
                    time=self._server.writes.time(),
                )
                self._event(obj, refusal.message)
                self.sets.add(namespace, name, after_s=5.0)
                break
        for each in sorted(alive, key=lambda pod: (is_ready(pod), pod["metadata"]["name"]))[
            : max(0, len(alive) - want)
        ]:
            self._objects.delete("pods", namespace, each["metadata"]["name"])
        ready = sum(is_ready(each) for each in alive)
        status: Obj = {
            "replicas": min(len(alive), want) if want < len(alive) else len(alive),
            "observedGeneration": obj["metadata"].get("generation", 1),
        }
        if status["replicas"]:
            status["fullyLabeledReplicas"] = status["replicas"]
        if ready:
            status["readyReplicas"] = min(ready, status["replicas"])
        available = self._available(obj, alive)
        if available:
            status["availableReplicas"] = min(available, status["replicas"])
        if failure is not None:
            status["conditions"] = [failure]
        self._objects.update_status("replicasets.apps", namespace, name, status)

    def _available(self, obj: Obj, pods: list[Obj]) -> int:
        """Count the pods that have been ready for long enough, and look again when the next one will have been."""
        least, now, count = int(obj["spec"].get("minReadySeconds") or 0), self._server.clock.now(), 0
        left: list[float] = []
        for each in pods:
            since = next(
                (one for one in dig(each, "status", "conditions") or () if one["type"] == "Ready"), {"status": "False"}
            )
            if since["status"] != "True":
                continue
            passed = (now - datetime.fromisoformat(str(since["lastTransitionTime"]))).total_seconds() if least else 0.0
            if passed >= least:
                count += 1
            else:
                left.append(least - passed)
        if left:
            self.sets.add(obj["metadata"]["namespace"], obj["metadata"]["name"], after_s=min(left))
        return count

    def _event(self, obj: Obj, message: str) -> None:
        meta = obj["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
            "reason": "FailedCreate",
            "message": f"Error creating: {message}",
            "type": "Warning",
            "count": 1,
            "firstTimestamp": self._server.writes.time(),
            "lastTimestamp": self._server.writes.time(),
        }
        self._objects.create("events", body)


def _kept(old: dict[str, Obj], new: Obj) -> Obj:
    """Keep the times of a condition that did not change."""
    before = old.get(new["type"])
    if before is not None and all(before.get(key) == new.get(key) for key in ("status", "reason", "message")):
        return before
    return new
