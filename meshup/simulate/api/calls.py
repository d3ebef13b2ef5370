"""Paths of the API taken apart: group, version, namespace, resource, name, subresource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from meshup.model.transport import Request
from meshup.simulate.api.users import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request for a resource. rest: what follows the subresource (of proxies), with its leading slash."""

    group: str
    version: str
    namespace: str
    plural: str
    name: str
    subresource: str
    rest: str
    user: User
    query: Mapping[str, str]
    request: Request

    @property
    def watching(self) -> bool:
        """Whether it asks for a watch."""
        return self.query.get("watch", "") in ("1", "true")


def parts(path: str) -> tuple[str, str, list[str]] | None:
    """Give group, version and the rest of a resource path; None when it is not one."""
    steps = [unquote(step) for step in path.split("/")]
    if steps[1:2] == ["api"] and len(steps) > 3:
        return "", steps[2], steps[3:]
    if steps[1:2] == ["apis"] and len(steps) > 4:
        return steps[2], steps[3], steps[4:]
    return None


def read(request: Request, user: User) -> Call | None:
    """Take a resource path apart; None when it is not one."""
    found = parts(request.path)
    if found is None:
        return None
    group, version, steps = found
    if steps and steps[-1] == "" and not (len(steps) > 3 and "proxy" in steps):
        steps = steps[:-1]
    if not steps:
        return None
    namespace = ""
    if steps[0] == "namespaces" and len(steps) > 2 and not (len(steps) == 3 and steps[2] in ("status", "finalize")):
        namespace, steps = steps[1], steps[2:]
    elif steps[0] == "namespaces" and len(steps) > 1:
        namespace = steps[1]
    steps = [*steps, "", ""]
    rest = "/".join(("", *list(steps[3:-2]))) if len(steps) > 5 else ""
    return Call(
        group=group,
        version=version,
        namespace=namespace,
        plural=steps[0],
        name=steps[1],
        subresource=steps[2],
        rest=rest,
        user=user,
        query=dict(request.query),
        request=request,
    )


def verb(call: Call) -> str:
    """Name what a call does, as authorization does."""
    match call.request.method:
        case "GET":
            if call.name:
                return "get"
            return "watch" if call.watching else "list"
        case "POST":
            return "create"
        case "PUT":
            return "update"
        case "PATCH":
            return "patch"
        case _:
            return "delete" if call.name else "deletecollection"
