"""Admission in the server's order: what is added to an object, who is asked, what forbids it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from meshup.simulate.api import podsecurity, quota, rbac, rules, validate
from meshup.simulate.api import schema as sc
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.pod_defaults import admit_pod
from meshup.simulate.api.policies import Policies
from meshup.simulate.api.problems import forbidden, invalid, not_found, not_here
from meshup.simulate.api.registry import Registry
from meshup.simulate.api.shaping import How, settled
from meshup.simulate.api.store import Obj, Store, copied
from meshup.simulate.api.users import MASTERS
from meshup.simulate.api.webhooks import Asked, Webhooks

NAMESPACES = ("", "namespaces")
LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Admission:
    """Looks at every write before it is stored."""

    def __init__(self, store: Store, registry: Registry, webhooks: Webhooks, chance: random.Random) -> None:
        self._store, self._webhooks, self._chance = store, webhooks, chance
        self._policies = Policies(store, registry)

    def suffix(self) -> str:
        """Make five letters for a generated name."""
        return "".join(self._chance.choices(LETTERS, k=5))

    def namespace_open(self, kind: Kind, namespace: str, name: str) -> None:
        """Refuse what would be created in a namespace that is missing or on its way out."""
        found = self._store.get(NAMESPACES, "", namespace)
        if found is None:
            raise not_found("namespaces", "", namespace)
        if found["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            refusal = forbidden(kind.plural, kind.group, name, why)
            told = f"namespace {namespace} is being terminated"
            causes = [{"reason": "NamespaceTerminating", "message": told, "field": "metadata.namespace"}]
            refusal.details = {**(refusal.details or {}), "causes": causes}
            raise refusal

    def mutate(self, kind: Kind, operation: str, obj: Obj, how: How, node: dict[str, Any], old: Obj | None) -> Obj:
        """Give the object as admission leaves it."""
        if kind.key == ("", "pods") and operation == "CREATE":
            obj = self._pod(kind, obj, how)
        if kind.key == ("", "persistentvolumeclaims") and operation == "CREATE":
            finalizers = [*(obj["metadata"].get("finalizers") or ()), "kubernetes.io/pvc-protection"]
            obj = {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}}
        asked = self._asked(kind, operation, obj, how, old)
        after = self._webhooks.mutate(asked, obj)
        return obj if after is obj else settled(kind, after, node)

    def _pod(self, kind: Kind, obj: Obj, how: How) -> Obj:
        namespace = obj["metadata"].get("namespace", "")
        made = quota.limited(self._store, namespace, obj)
        made = copied(obj) if made is obj else made
        name = made["spec"].get("serviceAccountName") or "default"
        if not how.controller and self._store.get(("", "serviceaccounts"), namespace, name) is None:
            why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
            raise forbidden(kind.plural, kind.group, obj["metadata"].get("name", ""), why)
        admit_pod(made, self.suffix(), mount=True)
        return made

    def check(self, kind: Kind, operation: str, obj: Obj, how: How, old: Obj | None, *, sub: str = "") -> None:
        """Refuse what policies, webhooks and quotas forbid. sub: "status" when that alone is written."""
        name = obj["metadata"].get("name", "")
        namespace = obj["metadata"].get("namespace", "")
        if kind.key == ("", "pods") and operation == "CREATE":
            found = self._store.get(NAMESPACES, "", namespace)
            bounds = quota.out_of_bounds(self._store, namespace, obj["spec"])
            security = podsecurity.refusal(obj["spec"], found) if found is not None else ""
            for why in (bounds, security):
                if why:
                    raise forbidden(kind.plural, kind.group, name, why)
        if kind.namespaced and kind.kind in sc.TEMPLATES and not sub and not how.controller:
            found = self._store.get(NAMESPACES, "", namespace)
            if found is not None:
                how.warnings.extend(podsecurity.warnings(sc.pod_template(obj), found))
        if kind.group == rbac.GROUP and not how.controller:
            self._no_escalation(kind, obj, how)
        asked = replace(self._asked(kind, operation, obj, how, old), subresource=sub)
        self._policies.judge(asked, obj, how.warnings)
        self._webhooks.validate(asked, obj)
        if operation == "CREATE" and kind.namespaced and kind.plural in (*quota.COUNTED, "pods") and not kind.custom:
            why = quota.refusal(self._store, namespace, kind.plural, obj.get("spec") or {})
            if why:
                raise forbidden(kind.plural, kind.group, name, why)

    def not_concerned(self, kind: Kind, obj: Obj, how: How, old: Obj | None, *, sub: str) -> None:
        """Refuse with 501 what webhooks and policies would be asked about a subresource that they see as its own kind."""
        asked = replace(self._asked(kind, "UPDATE", obj, how, old), subresource=sub)
        if self._webhooks.concern(asked, obj) or self._policies.concern(asked, obj):
            raise not_here(f"admission of {kind.plural}/{sub}")

    def deleting(self, kind: Kind, old: Obj, how: How) -> None:
        """Ask policies and webhooks about a deletion."""
        asked = self._asked(kind, "DELETE", old, how, old)
        asked = replace(asked, name="") if how.collection else asked
        self._policies.judge(asked, old, how.warnings)
        self._webhooks.validate(asked, old)

    def _no_escalation(self, kind: Kind, obj: Obj, how: How) -> None:
        if MASTERS in how.user.groups:
            return
        namespace = obj["metadata"].get("namespace", "")
        ref = obj.get("roleRef") or {}
        right = rbac.Asked(verb="escalate", group=rbac.GROUP, resource=kind.plural, namespace=namespace)
        if ref:
            plural = f"{str(ref.get('kind', '')).lower()}s"
            name = str(ref.get("name", ""))
            right = rbac.Asked(verb="bind", group=rbac.GROUP, resource=plural, namespace=namespace, name=name)
        if rbac.allowed(self._store, how.user, right):
            return
        if kind.kind in ("Role", "ClusterRole"):
            wanted = list(obj.get("rules") or ())
        else:
            wanted = list(rbac.role_of(self._store, obj, namespace).get("rules") or ())
        missing = rbac.not_held(self._store, how.user, namespace, wanted)
        if not missing:
            return
        groups = " ".join(f'"{each}"' for each in how.user.groups)
        shown = "\n".join(rbac.said(rule) for rule in missing)
        why = f'user "{how.user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{shown}'
        raise forbidden(kind.plural, kind.group, obj["metadata"].get("name", ""), why)

    def _asked(self, kind: Kind, operation: str, obj: Obj, how: How, old: Obj | None) -> Asked:
        meta = obj["metadata"]
        return Asked(
            operation=operation,
            group=kind.group,
            version=kind.version,
            plural=kind.plural,
            kind=kind.kind,
            namespace=meta.get("namespace", ""),
            name=meta.get("name", ""),
            user=how.user.name,
            uid=how.user.uid,
            groups=how.user.groups,
            options={"fieldManager": how.sent_manager} if how.sent_manager else {},
            dry_run=how.dry_run,
            old=old,
        )


def validated(kind: Kind, obj: Obj, old: Obj | None, node: dict[str, Any]) -> None:
    """Refuse an object that is not valid."""
    causes = list(validate.metadata(obj, kind.group, kind.kind))
    if old is not None:
        causes += validate.metadata_change(obj, old)
    if kind.custom:
        body = {key: value for key, value in obj.items() if key != "metadata"}
        required = [each for each in node.get("required", ()) if each != "metadata"]
        causes += validate.by_schema(body, {**node, "required": required}, "")
    else:
        causes += rules.built_in(obj, old, kind.kind)
    if causes:
        raise invalid(kind.kind, kind.group, obj["metadata"].get("name", ""), causes)
