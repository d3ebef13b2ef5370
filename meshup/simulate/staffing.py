"""Roles in a scenario: those of templates/rbac, bound to groups as their files say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from meshup.model.shipped import shipped
from meshup.simulate.api.store import Obj

HOME, PLANES = "meshup-system", "istio-system"
GROUP = "rbac.authorization.k8s.io"
OWNER_ELSEWHERE = (
    ("meshup-records", HOME),
    ("meshup-control-planes", PLANES),
    ("meshup-owner-reads", ""),
    ("meshup-owner-releases", ""),
)
"""What an owner is given beside the role in their own namespaces: (role, namespace, "" = the whole cluster)."""


def staff(found: Iterable[Mapping[str, Any]], make: Callable[[Obj], None]) -> None:
    """Make the roles, and bind them. found: {group, roles: [viewer, ...]} or {group, owns: [namespace, ...]}; empty = none.

    make: makes one object as a person would; what it raises goes through.
    """
    several = list(found)
    if not several:
        return
    made = list(_shipped())
    for each in made:
        make(each)
    in_home = {each["metadata"]["name"] for each in made if each["kind"] == "Role"}
    for entry in several:
        group = str(entry["group"])
        for role in entry.get("roles") or ():
            name = f"meshup-{role}"
            make(_binding(group, "ClusterRole", name, ""))
            if name in in_home:
                make(_binding(group, "Role", name, HOME))
        for namespace in entry.get("owns") or ():
            make(_binding(group, "ClusterRole", "meshup-owner", str(namespace)))
        for role, namespace in OWNER_ELSEWHERE if entry.get("owns") else ():
            make(_binding(group, "ClusterRole", role, namespace))


def _shipped() -> Iterator[Obj]:
    import yaml

    for file in sorted((shipped("templates") / "rbac").glob("*.yaml")):
        yield from (each for each in yaml.safe_load_all(file.read_text(encoding="utf-8")) if each)


def _binding(group: str, kind: str, role: str, namespace: str) -> Obj:
    meta = {"name": f"{group}-{role.removeprefix('meshup-')}", **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group}],
    }
