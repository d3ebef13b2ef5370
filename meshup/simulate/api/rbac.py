"""Who may do what, by the roles and bindings in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from meshup.model.objects import matches
from meshup.simulate.api.store import Obj, Store
from meshup.simulate.api.users import ADMIN, ANONYMOUS, AUTHENTICATED, MASTERS, User

__all__ = ["ADMIN", "ANONYMOUS", "Asked", "User", "allowed", "not_held", "reason", "role_of", "roles", "rules", "said"]

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
    return reason(store, user, asked) is not None


def reason(store: Store, user: User, asked: Asked) -> str | None:
    """Say why something is allowed, as the real server says it; None when it is not."""
    if MASTERS in user.groups:
        return ""
    for binding, role, scope in _grants(store, user, asked.namespace):
        if any(_rule(rule, asked) for rule in role.get("rules") or ()):
            return _said(binding, user, scope)
    return None


def _said(binding: Obj, user: User, scope: str) -> str:
    ref = binding["roleRef"]
    name = binding["metadata"]["name"]
    sort, shown = ("RoleBinding", f"{name}/{scope}") if scope else ("ClusterRoleBinding", name)
    subject = next(each for each in binding.get("subjects") or () if _is(each, user, scope))
    who = subject["name"]
    if subject["kind"] == "ServiceAccount":
        who = f"{who}/{subject.get('namespace', scope)}"
    return f'RBAC: allowed by {sort} "{shown}" of {ref["kind"]} "{ref["name"]}" to {subject["kind"]} "{who}"'


def rules(store: Store, user: User, namespace: str) -> Iterator[Obj]:
    """Yield the rules that bindings give a user, cluster-wide and in one namespace."""
    if MASTERS in user.groups:
        yield {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        yield {"verbs": ["*"], "nonResourceURLs": ["*"]}
    for _, role, _ in _grants(store, user, namespace):
        yield from role.get("rules") or ()


def roles(store: Store, user: User) -> list[str]:
    """Name the roles that bindings to a user or to their own groups give: "ROLE" in the whole cluster, "ROLE in NAMESPACE"."""
    own = replace(user, groups=tuple(each for each in user.groups if each != AUTHENTICATED))
    found = [
        str(each["roleRef"]["name"])
        for each in store.list((GROUP, "clusterrolebindings"))
        if any(_is(subject, own, "") for subject in each.get("subjects") or ())
    ]
    for each in store.list((GROUP, "rolebindings")):
        space = str(each["metadata"]["namespace"])
        if any(_is(subject, own, space) for subject in each.get("subjects") or ()):
            found.append(f"{each['roleRef']['name']} in {space}")
    return sorted(dict.fromkeys(found))


def _grants(store: Store, user: User, namespace: str) -> Iterator[tuple[Obj, Obj, str]]:
    """Yield (binding, its role, namespace or "") that concern a user."""
    for binding in store.list((GROUP, "clusterrolebindings")):
        if any(_is(each, user, "") for each in binding.get("subjects") or ()):
            yield binding, role_of(store, binding, ""), ""
    if namespace:
        for binding in store.list((GROUP, "rolebindings"), namespace):
            if any(_is(each, user, namespace) for each in binding.get("subjects") or ()):
                yield binding, role_of(store, binding, namespace), namespace


def _is(subject: Obj, user: User, namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "User":
        return name == user.name
    if kind == "Group":
        return name in user.groups
    return f"system:serviceaccount:{subject.get('namespace', namespace)}:{name}" == user.name


def role_of(store: Store, binding: Obj, namespace: str) -> Obj:
    """Give the role that a binding names, {} when it is not there."""
    ref = binding.get("roleRef") or {}
    if ref.get("kind") == "ClusterRole":
        return _gathered(store, store.get((GROUP, "clusterroles"), "", str(ref.get("name"))) or {})
    return store.get((GROUP, "roles"), namespace, str(ref.get("name"))) or {}


def _rule(rule: Obj, asked: Asked) -> bool:
    verbs, groups, resources = rule.get("verbs") or (), rule.get("apiGroups") or (), rule.get("resources") or ()
    if asked.verb not in verbs and "*" not in verbs:
        return False
    if asked.path:
        urls = rule.get("nonResourceURLs") or ()
        return any(url in ("*", asked.path) or (url.endswith("*") and asked.path.startswith(url[:-1])) for url in urls)
    if asked.group not in groups and "*" not in groups:
        return False
    wanted = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    if wanted not in resources and "*" not in resources and f"*/{asked.subresource}" not in resources:
        return False
    names = rule.get("resourceNames") or ()
    return not names or asked.name in names


def _gathered(store: Store, role: Obj) -> Obj:
    """Give a role with the rules of those it gathers by label."""
    selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
    if not selectors:
        return role
    rules = list(role.get("rules") or ())
    for each in store.list((GROUP, "clusterroles")):
        if any(matches(selector, each["metadata"].get("labels") or {}) for selector in selectors):
            rules += [rule for rule in each.get("rules") or () if rule not in rules]
    return {**role, "rules": rules}


def not_held(store: Store, user: User, namespace: str, wanted: list[Obj]) -> list[Obj]:
    """Give, of rules somebody wants to grant, the single permissions he does not hold himself."""
    held = list(rules(store, user, namespace))
    missing = []
    for rule in wanted:
        for group in rule.get("apiGroups") or ("",):
            for resource in rule.get("resources") or ():
                name, _, sub = resource.partition("/")
                lacking = [
                    verb
                    for verb in rule.get("verbs") or ()
                    if not any(
                        _rule(each, Asked(verb=verb, group=group, resource=name, subresource=sub)) for each in held
                    )
                ]
                if lacking:
                    missing.append({"apiGroups": [group], "resources": [resource], "verbs": lacking})
    return missing


def said(rule: Obj) -> str:
    """Write a rule as the server does when it names what is missing."""

    def listed(values: object) -> str:
        return "[" + " ".join(f'"{each}"' for each in values) + "]" if isinstance(values, list) else "[]"

    parts = [
        ("APIGroups", "apiGroups"),
        ("Resources", "resources"),
        ("ResourceNames", "resourceNames"),
        ("Verbs", "verbs"),
    ]
    return "{" + ", ".join(f"{title}:{listed(rule[key])}" for title, key in parts if rule.get(key)) + "}"
