"""What the API server's own surroundings do: garbage, ends of namespaces, accounts, custom kinds that become served.

Everything happens a moment of virtual time later, as in a real cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from meshup.simulate.api import definitions, quota
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.registry import Registry
from meshup.simulate.api.store import Change, Key, Obj, Store
from meshup.simulate.api.writes import How, Writes
from meshup.simulate.clock import VirtualClock

ESTABLISH_S = 0.1
GARBAGE_S = 0.1
NAMESPACE_S = 0.2
NAMESPACES = ("", "namespaces")
QUOTAS = ("", "resourcequotas")
BY = How(manager="kube-controller-manager", controller=True)


class Housekeeping:
    """Listens to the store and tidies up after it."""

    def __init__(self, store: Store, writes: Writes, registry: Registry, clock: VirtualClock) -> None:
        self._store, self._writes, self._registry, self._clock = store, writes, registry, clock
        self._dependents: dict[str, set[tuple[Key, str, str]]] = {}
        self._uids: set[str] = set()
        self._quotas_due: set[str] = set()
        self._leaving: set[str] = set()
        store.subscribe(self._see)

    def _see(self, change: Change) -> None:
        self._index(change)
        if change.key == NAMESPACES:
            self._namespace(change)
        elif change.key == definitions.KEY:
            self._definition(change)
        if change.key[1] in quota.COUNTED or change.key == QUOTAS:
            self._count(change.namespace, at_once=change.kind == "ADDED" and change.key != QUOTAS)
        if change.kind == "DELETED" and change.old is not None:
            uid = change.old["metadata"]["uid"]
            if self._dependents.get(uid):
                self._clock.call_later(GARBAGE_S, lambda: self._orphaned(uid))
            for owner in change.old["metadata"].get("ownerReferences") or ():
                if owner.get("blockOwnerDeletion") and owner["uid"] in self._leaving:
                    self._clock.call_later(GARBAGE_S, partial(self._foreground, owner["uid"]))
        elif change.new is not None and change.new["metadata"].get("deletionTimestamp"):
            finalizers = change.new["metadata"].get("finalizers") or ()
            uid = change.new["metadata"]["uid"]
            if "foregroundDeletion" in finalizers:
                self._leaving.add(uid)
                self._clock.call_later(GARBAGE_S, lambda: self._foreground(uid))
            if "orphan" in finalizers:
                self._clock.call_later(GARBAGE_S, lambda: self._orphan(change.key, change.namespace, change.name))

    # -- owners ------------------------------------------------------------------------------------------------------

    def _index(self, change: Change) -> None:
        at = (change.key, change.namespace, change.name)
        old = (change.old or {"metadata": {}})["metadata"].get("ownerReferences") or ()
        new = (change.new or {"metadata": {}})["metadata"].get("ownerReferences") or ()
        if change.kind == "DELETED":
            new = ()
            self._uids.discard(str((change.old or {"metadata": {}})["metadata"].get("uid")))
        elif change.new is not None:
            self._uids.add(change.new["metadata"]["uid"])
        if old is new or (not old and not new):
            return
        for each in old:
            self._dependents.get(each["uid"], set()).discard(at)
        for each in new:
            self._dependents.setdefault(each["uid"], set()).add(at)
            if each["uid"] not in self._uids:
                self._clock.call_later(GARBAGE_S, partial(self._orphaned, each["uid"]))

    def _dependents_of(self, uid: str) -> list[tuple[Key, Obj]]:
        found = []
        for key, namespace, name in sorted(self._dependents.get(uid, ())):
            obj = self._store.get(key, namespace, name)
            if obj is not None:
                found.append((key, obj))
        return found

    def _orphaned(self, uid: str) -> None:
        """Remove what has no owner any more."""
        if uid in self._uids:
            return
        for key, obj in self._dependents_of(uid):
            alive = [each for each in obj["metadata"].get("ownerReferences") or () if each["uid"] in self._uids]
            if not alive:
                self._delete(key, obj, {"propagationPolicy": "Background", "preconditions": _uid(obj)})
            else:
                self._store.put(key, {**obj, "metadata": {**obj["metadata"], "ownerReferences": alive}})

    def _foreground(self, uid: str) -> None:
        """Remove dependents; once none blocks any more, let the owner go."""
        waiting = False
        for key, obj in self._dependents_of(uid):
            blocks = any(
                each["uid"] == uid and each.get("blockOwnerDeletion") for each in obj["metadata"]["ownerReferences"]
            )
            if not obj["metadata"].get("deletionTimestamp"):
                self._delete(key, obj, {"propagationPolicy": "Foreground", "preconditions": _uid(obj)})
                obj_now = self._store.get(key, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
                waiting = waiting or (blocks and obj_now is not None)
            else:
                waiting = waiting or blocks
        if waiting:
            return
        for key in self._store.keys():  # noqa: SIM118 - a store is no mapping
            for obj in list(self._store.list(key)):
                if obj["metadata"]["uid"] == uid and "foregroundDeletion" in (obj["metadata"].get("finalizers") or ()):
                    self._release(key, obj, "foregroundDeletion")

    def _orphan(self, key: Key, namespace: str, name: str) -> None:
        owner = self._store.get(key, namespace, name)
        if owner is None:
            return
        uid = owner["metadata"]["uid"]
        for other, obj in self._dependents_of(uid):
            kept = [each for each in obj["metadata"]["ownerReferences"] if each["uid"] != uid]
            meta = {k: v for k, v in obj["metadata"].items() if k != "ownerReferences"}
            self._store.put(other, {**obj, "metadata": {**meta, **({"ownerReferences": kept} if kept else {})}})
        self._release(key, owner, "orphan")

    def _release(self, key: Key, obj: Obj, finalizer: str) -> None:
        meta = dict(obj["metadata"])
        meta["finalizers"] = [each for each in meta.get("finalizers") or () if each != finalizer]
        if meta["finalizers"]:
            self._store.put(key, {**obj, "metadata": meta})
        else:
            del meta["finalizers"]
            self._store.put(key, {**obj, "metadata": meta})
            self._store.remove(key, meta.get("namespace", ""), meta["name"])

    def _delete(self, key: Key, obj: Obj, options: Obj) -> None:
        kind = self._kind(key)
        meta = obj["metadata"]
        if kind is None:
            self._store.remove(key, meta.get("namespace", ""), meta["name"])
            return
        try:
            self._writes.delete(kind, meta.get("namespace", ""), meta["name"], options, BY)
        except Refusal as refusal:
            if refusal.code not in (404, 409):
                raise

    def _kind(self, key: Key) -> Kind | None:
        return next((each for each in self._registry.all() if each.key == key), None)

    # -- namespaces --------------------------------------------------------------------------------------------------

    def _namespace(self, change: Change) -> None:
        if change.kind == "ADDED":
            self._furnish(change.name)
        elif change.new is not None and change.new["metadata"].get("deletionTimestamp") and change.kind != "DELETED":
            self._clock.call_later(NAMESPACE_S, lambda: self._empty(change.name))

    def _furnish(self, name: str) -> None:
        accounts, configs = self._registry.named("serviceaccounts"), self._registry.named("configmaps")
        self._writes.create(accounts, name, {"metadata": {"name": "default"}}, BY)
        text = "-----BEGIN CERTIFICATE-----\nc2ltdWxhdGVk\n-----END CERTIFICATE-----\n"
        self._writes.create(configs, name, {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": text}}, BY)

    def _empty(self, name: str) -> None:
        """Remove a namespace's content, then itself; try again while something stays."""
        namespace = self._store.get(NAMESPACES, "", name)
        if namespace is None or not namespace["metadata"].get("deletionTimestamp"):
            return
        left = 0
        for kind in self._kinds_with_objects():
            for obj in list(self._store.list(kind.key, name)):
                if not obj["metadata"].get("deletionTimestamp"):
                    self._delete(kind.key, obj, {"propagationPolicy": "Background"})
                left += self._store.get(kind.key, name, obj["metadata"]["name"]) is not None
        if left:
            self._clock.call_later(NAMESPACE_S * 2, lambda: self._empty(name))
            return
        spec = {key: value for key, value in (namespace.get("spec") or {}).items() if key != "finalizers"}
        self._store.put(NAMESPACES, {**namespace, "spec": spec})
        if not namespace["metadata"].get("finalizers"):
            self._store.remove(NAMESPACES, "", name)

    def _kinds_with_objects(self) -> Iterable[Kind]:
        held = set(self._store.keys())
        seen: set[Key] = set()
        for kind in self._registry.all():
            if kind.namespaced and kind.key in held and kind.key not in seen:
                seen.add(kind.key)
                yield kind

    # -- custom definitions, quotas ------------------------------------------------------------------------------------

    def _definition(self, change: Change) -> None:
        if change.kind == "DELETED":
            self._registry.define(change.name, ())
            return
        new = change.new
        if new is None:
            return
        if new["metadata"].get("deletionTimestamp"):
            self._clock.call_later(GARBAGE_S, lambda: self._withdraw(change.name))
        elif definitions.established(new):
            if definitions.established(change.old or {}) and (change.old or {}).get("spec") == new.get("spec"):
                return
            kinds = definitions.kinds_of(new)
            self._registry.define(
                change.name, tuple((kind, definitions.schema_of(new, kind.version)) for kind in kinds)
            )
        else:
            self._clock.call_later(ESTABLISH_S, lambda: self._establish(change.name))

    def _establish(self, name: str) -> None:
        found = self._store.get(definitions.KEY, "", name)
        if found is not None and not definitions.established(found):
            self._store.put(definitions.KEY, definitions.accepted(found, self._writes.time()))

    def _withdraw(self, name: str) -> None:
        """Remove a definition's objects, then the definition."""
        found = self._store.get(definitions.KEY, "", name)
        if found is None:
            return
        key = (found["spec"]["group"], found["spec"]["names"]["plural"])
        for obj in list(self._store.list(key)):
            if not obj["metadata"].get("deletionTimestamp"):
                self._delete(key, obj, {})
        if self._store.count(key):
            self._clock.call_later(GARBAGE_S * 5, lambda: self._withdraw(name))
        else:
            self._release(definitions.KEY, found, "customresourcecleanup.apiextensions.k8s.io")

    def _count(self, namespace: str, *, at_once: bool) -> None:
        if namespace in self._quotas_due or not any(True for _ in self._store.list(QUOTAS, namespace)):
            return
        if at_once:
            self._recount(namespace)
            return
        self._quotas_due.add(namespace)
        self._clock.call_later(GARBAGE_S, lambda: self._recount(namespace))

    def _recount(self, namespace: str) -> None:
        self._quotas_due.discard(namespace)
        for each in list(self._store.list(QUOTAS, namespace)):
            hard = (each.get("spec") or {}).get("hard") or {}
            used = {
                key: quota.shown(value, str(hard[key]))
                for key, value in quota.used(self._store, namespace, hard).items()
            }
            status = {"hard": hard, "used": used}
            if each.get("status") != status:
                self._store.put(QUOTAS, {**each, "status": status})


def _uid(obj: Obj) -> Obj:
    return {"uid": obj["metadata"]["uid"]}
