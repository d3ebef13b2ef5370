"""Who may do what, by the roles and bindings in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meshup.simulate.api.store import Obj, Store
from meshup.simulate.api.users import ADMIN, ANONYMOUS, MASTERS, User

__all__ = ["ADMIN", "ANONYMOUS", "Asked", "User", "allowed", "rules"]

GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One thing that somebody wants to do. path: of a request for no resource, "" otherwise."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def allowed(store: Store, user: User, asked: Asked) -> bool:
    """Decide by the roles bound to a user."""
    if MASTERS in user.groups:
        return True
    if asked.path:
        return asked.path.startswith(
            ("/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz", "/simulator")
        )
    if asked.group in ("authentication.k8s.io", "authorization.k8s.io") and asked.resource.startswith("self"):
        return True
    return any(_rule(rule, asked) for rule in rules(store, user, asked.namespace))


def rules(store: Store, user: User, namespace: str) -> Iterator[Obj]:
    """Yield the rules that bindings give a user, cluster-wide and in one namespace."""
    for binding in store.list((GROUP, "clusterrolebindings")):
        if _bound(binding, user, ""):
            yield from _role(store, binding, "")
    if namespace:
        for binding in store.list((GROUP, "rolebindings"), namespace):
            if _bound(binding, user, namespace):
                yield from _role(store, binding, namespace)


def _bound(binding: Obj, user: User, namespace: str) -> bool:
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind"), subject.get("name")
        if kind == "User" and name == user.name:
            return True
        if kind == "Group" and name in user.groups:
            return True
        account = f"system:serviceaccount:{subject.get('namespace', namespace)}:{name}"
        if kind == "ServiceAccount" and account == user.name:
            return True
    return False


def _role(store: Store, binding: Obj, namespace: str) -> Iterator[Obj]:
    ref = binding.get("roleRef") or {}
    if ref.get("kind") == "ClusterRole":
        role = store.get((GROUP, "clusterroles"), "", str(ref.get("name")))
    else:
        role = store.get((GROUP, "roles"), namespace, str(ref.get("name")))
    yield from (role or {}).get("rules") or ()


def _rule(rule: Obj, asked: Asked) -> bool:
    verbs, groups, resources = rule.get("verbs") or (), rule.get("apiGroups") or (), rule.get("resources") or ()
    if asked.verb not in verbs and "*" not in verbs:
        return False
    if asked.group not in groups and "*" not in groups:
        return False
    wanted = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    if wanted not in resources and "*" not in resources and f"*/{asked.subresource}" not in resources:
        return False
    names = rule.get("resourceNames") or ()
    return not names or asked.name in names
