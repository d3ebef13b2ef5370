"""Every way of writing an object: the steps a real server takes, in its order."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from meshup.simulate.api import definitions, deletion, ownership
from meshup.simulate.api.admission import Admission, validated
from meshup.simulate.api.allocation import Addresses
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.patch import json_patch, merge_patch, strategic
from meshup.simulate.api.problems import (
    MODIFIED,
    Refusal,
    already_exists,
    bad_request,
    cause,
    conflict,
    invalid,
    not_found,
)
from meshup.simulate.api.registry import Registry
from meshup.simulate.api.shaping import How, decoded, go_map, unknown
from meshup.simulate.api.store import Obj, Store
from meshup.simulate.api.strategy import (
    FIXED,
    fresh,
    has_generation,
    prepared,
    same,
    spec_of,
    status_apart,
    with_generated_spec,
)
from meshup.simulate.api.webhooks import Webhooks

__all__ = ["How", "Writes"]
NAMESPACES = ("", "namespaces")
CONDITIONAL = frozenset(
    {
        "CustomResourceDefinition",
        "Lease",
        "MutatingWebhookConfiguration",
        "PodDisruptionBudget",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    }
)
"""Built-in kinds that are replaced with their resourceVersion only."""
JSON_PATCH, MERGE_PATCH, STRATEGIC = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)


class Writes:
    """Writes into one store. now: virtual wall time. chance: makes UIDs and generated names."""

    def __init__(
        self, store: Store, registry: Registry, webhooks: Webhooks, now: Callable[[], datetime], chance: random.Random
    ) -> None:
        self.store, self.registry = store, registry
        self._now, self._chance = now, chance
        self.admission = Admission(store, registry, webhooks, chance)
        self._addresses = Addresses(store)

    def time(self) -> str:
        """Give virtual time as objects carry it."""
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def create(self, kind: Kind, namespace: str, body: Any, how: How) -> Obj:
        """POST. Raises Refusal."""
        node = self.registry.schema(kind)
        if how.controller and kind.kind != "Pod":
            obj = _trusted(kind, namespace, body)
        else:
            obj = decoded(kind, namespace, body, node, how, name="")
        meta = obj["metadata"]
        if meta.get("resourceVersion"):
            raise Refusal(500, "resourceVersion should not be set on objects to be created", reason="")
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + self.admission.suffix()
        return self._insert(kind, namespace, obj, node, how)

    def update(self, kind: Kind, namespace: str, name: str, body: Any, how: How, *, sub: str = "") -> Obj:
        """PUT of an object or of its status. Raises Refusal."""
        old = self.must(kind, namespace, name)
        node = self.registry.schema(kind)
        if how.controller:
            new = _trusted(kind, namespace, body)
        else:
            new = decoded(kind, namespace, body, node, how, name=name)
        sent = str(new["metadata"].get("resourceVersion") or "")
        if not sent and (kind.custom or kind.kind in CONDITIONAL) and not how.controller:
            message = "Invalid value: 0: must be specified for an update"
            raise invalid(
                kind.plural, kind.group, name, [cause("FieldValueInvalid", message, "metadata.resourceVersion")]
            )
        uid = new["metadata"].get("uid")
        if uid and uid != old["metadata"]["uid"]:
            told = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
            at = f"/registry/{kind.plural}/" + (f"{namespace}/{name}" if namespace else name)
            why = f"StorageError: invalid object, Code: 4, Key: {at}, ResourceVersion: 0, AdditionalErrorMsg: {told}"
            raise conflict(kind.plural, kind.group, name, why)
        self._preconditions(kind, name, old, new)
        return self._replace(kind, old, new, node, how, sub=sub, managed=None)

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        content: str,
        how: How,
        *,
        sub: str = "",
        owned_as: str = "",
    ) -> Obj:
        """PATCH of one of the three kinds. owned_as: subresource that ownership names. Raises Refusal."""
        old = self.must(kind, namespace, name)
        node = self.registry.schema(kind)
        match content:
            case "application/json-patch+json":
                new = json_patch(old, patch)
            case "application/merge-patch+json":
                new = merge_patch(old, patch)
            case "application/strategic-merge-patch+json" if not kind.custom:
                new = strategic(old, patch, node)
            case _:
                if content != STRATEGIC:
                    raise Refusal(415, "415: Unsupported Media Type", details={})
                listed = f"{JSON_PATCH}, {MERGE_PATCH}, application/apply-patch+yaml"
                why = f"the body of the request was in an unknown format - accepted media types include: {listed}"
                raise Refusal(415, why)
        if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
            raise bad_request("the patch leaves no object")
        if new["metadata"].get("name") != name:
            raise bad_request(
                f"the name of the object ({new['metadata'].get('name')}) does not match the name on the URL ({name})"
            )
        if not how.controller:
            new = self._decoded_patch(kind, namespace, name, new, patch, content, node, how)
        self._preconditions(kind, name, old, new)
        return self._replace(kind, old, new, node, how, sub=sub, managed=None, owned_as=owned_as)

    def _decoded_patch(
        self, kind: Kind, namespace: str, name: str, new: Obj, patch: Any, content: str, node: dict[str, Any], how: How
    ) -> Obj:
        """Decode what a patch made; the server words strictness apart when the patch was strategic."""
        try:
            return decoded(kind, namespace, new, node, how, name=name)
        except Refusal as refusal:
            strict = refusal.message.partition("strict decoding error: ")[2]
            if content != STRATEGIC or not strict:
                raise
            message = f'Invalid value: "{go_map(patch)}": strict decoding error: {strict}'
            raise invalid("", "", "", [cause("FieldValueInvalid", message, "patch")]) from None

    def apply(self, kind: Kind, namespace: str, name: str, body: Any, how: How, *, sub: str = "") -> tuple[Obj, bool]:
        """Apply on the server side; gives the object and whether it was created. Raises Refusal."""
        if not isinstance(body, dict):
            raise bad_request("error decoding YAML: an object is expected")
        meta = body.get("metadata") or {}
        if meta.get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        old = self.store.get(kind.key, namespace, name)
        if body.get("apiVersion") != kind.api_version or body.get("kind") != kind.kind:
            sent = str(body.get("apiVersion") or "")
            told = f"{sent if '/' in sent else f'/{sent}'}, Kind={body.get('kind') or ''}"
            raise bad_request(f"invalid object type: {told}")
        if old is None and not meta.get("name"):
            why = f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
            raise bad_request(why)
        if meta.get("name") not in (None, name):
            raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
        if old is None and meta.get("uid"):
            told = f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found"
            raise conflict(kind.plural, kind.group, name, told)
        if old is None and (meta.get("resourceVersion") or sub):
            raise not_found(kind.plural, kind.group, name)
        node = self.registry.schema(kind)
        where = {"namespace": namespace} if namespace else {}
        body = {**body, "metadata": {**meta, "name": name, **where}}
        ownership.check_declared(kind, body, node, sent_namespace=str(meta.get("namespace") or ""))
        unknown(kind, body, node, how)
        self._preconditions(kind, name, old, body)
        merged, _ = ownership.apply(
            old,
            body,
            node,
            manager=how.manager,
            api_version=kind.api_version,
            time=self.time(),
            force=how.force,
            sub=sub,
            apart=status_apart(kind),
        )
        managed = merged["metadata"].get("managedFields")
        if old is None:
            made = decoded(kind, namespace, merged, node, How(user=how.user), name=name)
            return self._insert(kind, namespace, made, node, how, managed=managed), True
        merged = {**merged, "metadata": {**merged["metadata"], "uid": old["metadata"]["uid"]}}
        shaped = decoded(kind, namespace, merged, node, How(user=how.user), name=name)
        return self._replace(kind, old, shaped, node, how, sub=sub, managed=managed or []), False

    def delete(self, kind: Kind, namespace: str, name: str, options: Obj, how: How) -> tuple[Obj, bool]:
        """DELETE; gives the object and whether it is gone now. Raises Refusal."""
        old = self.must(kind, namespace, name)
        meta = old["metadata"]
        deletion.check(kind, old, options)
        if not how.controller:
            self.admission.deleting(kind, old, how)
        finalizers = deletion.finalizers(kind, old, options)
        grace = deletion.grace(kind, old, options)
        namespaced = bool(kind.key == NAMESPACES and (old.get("spec") or {}).get("finalizers"))
        if not (finalizers or grace or namespaced):
            if not how.dry_run:
                self.store.remove(kind.key, namespace, name)
            return old, True
        if meta.get("deletionTimestamp") and not (kind.kind == "Pod" and "gracePeriodSeconds" in options):
            return old, False
        marked = {**meta, "deletionTimestamp": self.time(), "deletionGracePeriodSeconds": grace}
        if finalizers:
            marked["finalizers"] = finalizers
        if "generation" in meta:
            marked["generation"] = meta["generation"] + 1
        new = {**old, "metadata": marked}
        if kind.key == definitions.KEY:
            new = definitions.ending(new, self.time())
        if namespaced:
            new["status"] = {**(old.get("status") or {}), "phase": "Terminating"}
        return (new if how.dry_run else self.store.put(kind.key, new)), False

    def must(self, kind: Kind, namespace: str, name: str) -> Obj:
        """Give an object. Raises Refusal 404."""
        found = self.store.get(kind.key, namespace, name)
        if found is None:
            raise not_found(kind.plural, kind.group, name)
        return found

    def _preconditions(self, kind: Kind, name: str, old: Obj | None, new: Obj) -> None:
        if old is None:
            return
        meta = new.get("metadata") or {}
        if meta.get("uid") and meta["uid"] != old["metadata"]["uid"]:
            message = f'Invalid value: "{meta["uid"]}": field is immutable'
            raise invalid(kind.kind, kind.group, name, [cause("FieldValueInvalid", message, "metadata.uid")] * 2)
        sent = meta.get("resourceVersion")
        if sent and str(sent) != old["metadata"]["resourceVersion"]:
            raise conflict(kind.plural, kind.group, name, MODIFIED)

    def _insert(
        self, kind: Kind, namespace: str, obj: Obj, node: dict[str, Any], how: How, *, managed: Any = None
    ) -> Obj:
        name = obj["metadata"].get("name", "")
        if kind.namespaced:
            self.admission.namespace_open(kind, namespace, name)
        meta = {key: value for key, value in obj["metadata"].items() if key not in (*FIXED, "managedFields")}
        obj = {**obj, "metadata": meta}
        if status_apart(kind) and (kind.kind == "Pod" or not how.controller):
            obj.pop("status", None)
        if managed is None and how.manager:
            owned = ownership.after_update(
                None, obj, node, manager=how.manager, api_version=kind.api_version, time=self.time()
            )
            managed = owned["metadata"].get("managedFields")
        if not (how.controller and kind.kind != "Pod"):
            obj = self.admission.mutate(kind, "CREATE", obj, how, node, None)
        meta = dict(obj["metadata"])
        meta["uid"] = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        meta["creationTimestamp"] = self.time()
        if has_generation(kind):
            meta["generation"] = 1
        if managed:
            meta["managedFields"] = managed
        obj = fresh(kind, {**obj, "metadata": meta}, keep_status=how.controller)
        if not how.controller:
            validated(kind, obj, None, node)
        obj = self._addresses.given(kind, obj) if kind.key == ("", "services") else obj
        if not how.controller or kind.kind == "Pod":
            self.admission.check(kind, "CREATE", obj, how, None)
        if self.store.get(kind.key, namespace if kind.namespaced else "", meta["name"]) is not None:
            raise already_exists(kind.plural, kind.group, meta["name"])
        return obj if how.dry_run else self.store.put(kind.key, obj)

    def _replace(
        self,
        kind: Kind,
        old: Obj,
        new: Obj,
        node: dict[str, Any],
        how: How,
        *,
        sub: str,
        managed: list[Obj] | None,
        owned_as: str = "",
    ) -> Obj:
        before = old["metadata"]
        meta = {key: value for key, value in new["metadata"].items() if key not in FIXED}
        meta |= {key: before[key] for key in FIXED if key in before}
        sent_owners = meta.pop("managedFields", None)
        forget = (managed is None and sent_owners == [{}]) or (managed is None and sent_owners == [])
        kept = [] if forget else before.get("managedFields") or []
        new = prepared(kind, old, {**new, "metadata": meta}, sub=sub, controller=how.controller)
        new = with_generated_spec(kind, old, new)
        if managed is None and how.manager:
            base = {**old, "metadata": {**before, "managedFields": kept}}
            new = ownership.after_update(
                base,
                new,
                node,
                manager=how.manager,
                api_version=kind.api_version,
                time=self.time(),
                sub=sub,
                owned_as=owned_as,
            )
        else:
            owners = kept if managed is None else managed
            if owners:
                new = {**new, "metadata": {**new["metadata"], "managedFields": owners}}
        if not how.controller and not sub and not owned_as:
            owners = new["metadata"].get("managedFields")
            new = self.admission.mutate(kind, "UPDATE", new, how, node, old)
            new = {**new, "metadata": {**new["metadata"], **({"managedFields": owners} if owners else {})}}
        if has_generation(kind) and sub != "status" and spec_of(kind, new) != spec_of(kind, old):
            new["metadata"]["generation"] = int(before.get("generation") or 0) + 1
        unchanged = same(old, new)
        if not how.controller:
            if not unchanged:
                validated(kind, new, old, node)
            if owned_as and not unchanged:
                self.admission.not_concerned(kind, new, how, old, sub=owned_as)
            elif not owned_as and sub in ("", "status"):
                self.admission.check(kind, "UPDATE", new, how, old, sub=sub)
        if unchanged:
            return old
        if how.dry_run:
            return new
        stored = self.store.put(kind.key, new)
        ending = before.get("deletionTimestamp") and not meta.get("finalizers") and kind.key != NAMESPACES
        if ending and before.get("finalizers") and not (meta.get("deletionGracePeriodSeconds") and kind.kind == "Pod"):
            self.store.remove(kind.key, meta.get("namespace", ""), meta["name"])
        return stored


def _trusted(kind: Kind, namespace: str, body: Obj) -> Obj:
    meta = {**(body.get("metadata") or {})}
    if kind.namespaced:
        meta["namespace"] = namespace
    return {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}
