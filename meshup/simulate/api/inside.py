"""Typed reads and writes for controllers in the process: no bytes, no paths, the same rules where they matter.

What is given out must not be altered. resource: "pods", "deployments.apps", or a Kind. manager "" (the default) leaves
ownership of fields untracked, which is fast; pods are always admitted, other kinds are trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.store import Obj
from meshup.simulate.api.users import CONTROL_PLANE, User
from meshup.simulate.api.writes import MERGE_PATCH, How, Writes


def _how(user: User, manager: str) -> How:
    return How(user=user, manager=manager, controller=True)


class Inside:
    """The objects of a cluster, for its controllers."""

    def __init__(self, writes: Writes) -> None:
        self._writes, self._store, self._registry = writes, writes.store, writes.registry

    def get(self, resource: str | Kind, namespace: str, name: str) -> Obj | None:
        """Give an object, None when it is absent."""
        return self._store.get(self._registry.named(resource).key, namespace, name)

    def list(self, resource: str | Kind, namespace: str = "", labels: Mapping[str, str] | None = None) -> Iterator[Obj]:
        """Yield objects by namespace ("" = all) and by labels that must all be there."""
        key = self._registry.named(resource).key
        if not labels:
            yield from self._store.list(key, namespace)
            return
        every = (
            self._store.labelled(key, namespace, *next(iter(labels.items()))) if namespace else self._store.list(key)
        )
        for each in every:
            found = each["metadata"].get("labels") or {}
            if all(found.get(label) == value for label, value in labels.items()):
                yield each

    def create(self, resource: str | Kind, obj: Obj, *, user: User = CONTROL_PLANE, manager: str = "") -> Obj:
        """Create an object in the namespace its metadata names. A Pod is admitted like anybody's. Raises Refusal."""
        namespace = obj["metadata"].get("namespace", "")
        return self._writes.create(self._registry.named(resource), namespace, obj, _how(user, manager))

    def update(self, resource: str | Kind, obj: Obj, *, user: User = CONTROL_PLANE, manager: str = "") -> Obj:
        """Replace an object, status included; a resourceVersion in it is a precondition. Raises Refusal."""
        meta = obj["metadata"]
        kind = self._registry.named(resource)
        return self._writes.update(kind, meta.get("namespace", ""), meta["name"], obj, _how(user, manager))

    def update_status(
        self, resource: str | Kind, namespace: str, name: str, status: Obj, *, manager: str = ""
    ) -> Obj | None:
        """Replace an object's status; None when the object is gone or says so already."""
        kind = self._registry.named(resource)
        old = self._store.get(kind.key, namespace, name)
        if old is None or old.get("status") == status:
            return None
        if not manager:
            return self._store.put(kind.key, {**old, "status": status})
        new = {**old, "status": status}
        return self._writes.update(kind, namespace, name, new, _how(CONTROL_PLANE, manager), sub="status")

    def patch(self, resource: str | Kind, namespace: str, name: str, patch: Any, *, manager: str = "") -> Obj:
        """Lay a merge patch over an object. Raises Refusal."""
        kind = self._registry.named(resource)
        return self._writes.patch(kind, namespace, name, patch, MERGE_PATCH, _how(CONTROL_PLANE, manager))

    def apply(self, resource: str | Kind, obj: Obj, *, manager: str, force: bool = False) -> Obj:
        """Apply a configuration. Raises Refusal with the conflicts."""
        meta = obj["metadata"]
        how = How(user=CONTROL_PLANE, manager=manager, force=force)
        found, _ = self._writes.apply(self._registry.named(resource), meta.get("namespace", ""), meta["name"], obj, how)
        return found

    def delete(
        self, resource: str | Kind, namespace: str, name: str, *, options: Obj | None = None, user: User = CONTROL_PLANE
    ) -> bool:
        """Delete an object; tells whether it is gone now. options: DeleteOptions; a pod's last delete has grace 0."""
        kind = self._registry.named(resource)
        if self._store.get(kind.key, namespace, name) is None:
            return True
        wanted = options or {"propagationPolicy": "Background"}
        _, gone = self._writes.delete(kind, namespace, name, wanted, _how(user, ""))
        return gone
