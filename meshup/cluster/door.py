"""The door: the reading half, and every verb that may change something."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meshup.cluster.errors import Conflict, NotFound, NotServed
from meshup.cluster.paths import KNOWN, collection, member
from meshup.cluster.ports import MANAGER, Propagation
from meshup.cluster.reading import ReadingDoor
from meshup.model.objects import Object, Ref, ref_of
from meshup.model.transport import Method

ENDING_S = 5.0
SERVED_EVERY_S = 1.0
SERVED_TRIES = 5


class Cluster(ReadingDoor):
    """A reader and writer of one cluster. Safe to use from many threads; see ports.py for what each verb promises."""

    def fenced(self, fence: Callable[[], None]) -> Cluster:
        """Give the same cluster with a check that runs just before each mutating attempt and raises to forbid it."""
        made = copy.copy(self)
        made._fence = fence  # noqa: SLF001 - a copy of ourselves
        return made

    def once(self, *, most_s: float = ENDING_S) -> Cluster:
        """Give the same cluster, unfenced, with every request sent once and no longer than that."""
        made = copy.copy(self)
        made._fence, made._tries, made._most_s = None, 1, most_s  # noqa: SLF001 - a copy of ourselves
        return made

    def pretending(self) -> Cluster:
        """Give the same cluster with every write sent as a dry run."""
        made = copy.copy(self)
        made._pretends = True  # noqa: SLF001 - a copy of ourselves
        return made

    def create(self, body: Object, *, manager: str = MANAGER, dry_run: bool = False) -> Object:
        """POST a new object."""
        dry_run = dry_run or self._pretends
        found = self._kind(body["apiVersion"], body["kind"])
        meta = body.get("metadata") or {}
        if found.namespaced and not meta.get("namespace"):
            raise ValueError(f"{body['kind']} needs a namespace")
        place = collection(found, meta.get("namespace") or "")
        name = "/".join(str(meta[each]) for each in ("namespace", "name") if meta.get(each))
        return self._when_served(
            "POST",
            place,
            query=_write(manager, dry_run=dry_run, strict=True),
            body=body,
            resend=dry_run,
            doing=f"create {body['kind']} {name}",
        )

    def apply(
        self, body: Object, *, manager: str = MANAGER, force: bool = False, dry_run: bool = False, uid: str = ""
    ) -> Object:
        """Server-side apply."""
        dry_run = dry_run or self._pretends
        sent = {**body, "metadata": {key: value for key, value in body["metadata"].items() if key != "managedFields"}}
        if uid:
            sent["metadata"]["uid"] = uid
        ref = ref_of(body)
        query = (*_write(manager, dry_run=dry_run, strict=True), ("force", "true" if force else "false"))
        return self._when_served(
            "PATCH",
            self._path(ref),
            query=query,
            body=sent,
            doing=f"apply {ref}",
            content="application/apply-patch+yaml",
            resend=dry_run or "resourceVersion" not in sent["metadata"],
        )

    def _when_served(self, method: Method, path: str, **asked: Any) -> Object:
        """Send a write of a kind that may have been defined a moment ago; a dry run does not wait for it."""
        waits = 0 if ("dryRun", "All") in asked["query"] else SERVED_TRIES
        while True:
            try:
                return self._json(method, path, **asked)
            except NotServed:
                if waits == 0:
                    raise
                waits -= 1
                self._sender.pause(SERVED_EVERY_S)

    def replace(self, body: Object, *, manager: str = MANAGER, dry_run: bool = False) -> Object:
        """PUT a whole object with its resourceVersion."""
        dry_run = dry_run or self._pretends
        ref = ref_of(body)
        if not body["metadata"].get("resourceVersion"):
            raise ValueError(f"replacing {ref} needs a resourceVersion")
        return self._json(
            "PUT",
            self._path(ref),
            query=_write(manager, dry_run=dry_run),
            body=body,
            doing=f"replace {ref}",
            resend=dry_run,
        )

    def merge_patch(
        self, ref: Ref, patch: Object, *, manager: str = MANAGER, dry_run: bool = False, subresource: str = ""
    ) -> Object:
        """Merge patch; with a resourceVersion in it a lost answer raises MaybeDone."""
        dry_run = dry_run or self._pretends
        safe = dry_run or not (patch.get("metadata") or {}).get("resourceVersion")
        return self._json(
            "PATCH",
            self._path(ref, subresource),
            query=_write(manager, dry_run=dry_run),
            body=patch,
            content="application/merge-patch+json",
            doing=f"patch {ref}",
            resend=safe,
        )

    def json_patch(
        self, ref: Ref, patch: Sequence[Mapping[str, Any]], *, manager: str = MANAGER, dry_run: bool = False
    ) -> Object:
        """JSON patch; a lost answer raises MaybeDone, as its tests would fail the second time."""
        dry_run = dry_run or self._pretends
        return self._json(
            "PATCH",
            self._path(ref),
            query=_write(manager, dry_run=dry_run),
            body=list(patch),
            content="application/json-patch+json",
            doing=f"patch {ref}",
            resend=dry_run,
        )

    def update_status(self, ref: Ref, status: Object, *, resource_version: str = "", manager: str = MANAGER) -> Object:
        """Merge fields into an object's status."""
        patch: dict[str, Any] = {"status": status}
        if resource_version:
            patch["metadata"] = {"resourceVersion": resource_version}
        return self.merge_patch(ref, patch, manager=manager, subresource="status")

    def delete(
        self,
        ref: Ref,
        *,
        uid: str,
        resource_version: str = "",
        propagation: Propagation = "Background",
        dry_run: bool = False,
    ) -> bool:
        """Delete one object by UID."""
        dry_run = dry_run or self._pretends
        if not uid:
            raise ValueError(f"deleting {ref} needs its UID")
        preconditions = {"uid": uid, **({"resourceVersion": resource_version} if resource_version else {})}
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
            "propagationPolicy": propagation,
        }
        try:
            self._json("DELETE", self._path(ref), query=_write("", dry_run=dry_run), body=body, doing=f"delete {ref}")
        except NotFound:
            return False
        except Conflict:
            # A resent delete meets what the first one left: the same object, terminating.
            there = self.find(ref)
            if there is None:
                return False
            if there["metadata"].get("uid") == uid and there["metadata"].get("deletionTimestamp"):
                return True
            raise
        return True

    def evict(self, namespace: str, pod: str, *, uid: str, dry_run: bool = False) -> bool:
        """Evict one pod by UID."""
        dry_run = dry_run or self._pretends
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        path = member(KNOWN["v1", "Pod"], namespace, pod, subresource="eviction")
        try:
            self._json("POST", path, query=_write("", dry_run=dry_run), body=body, doing=f"evict pod {namespace}/{pod}")
        except NotFound:
            return False
        except Conflict:
            there = self.find(Ref(api_version="v1", kind="Pod", namespace=namespace, name=pod))
            if there is None or there["metadata"].get("uid") != uid:
                return False
            raise
        return True


def _write(manager: str, *, dry_run: bool, strict: bool = False) -> tuple[tuple[str, str], ...]:
    query = (("fieldManager", manager),) if manager else ()
    if strict:
        query = (*query, ("fieldValidation", "Strict"))
    return (*query, ("dryRun", "All")) if dry_run else query
