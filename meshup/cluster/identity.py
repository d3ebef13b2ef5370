"""Who the API server takes us for, and what it lets us do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshup.model.objects import dig
from meshup.model.problem import Unreachable
from meshup.model.snapshot import Identity
from meshup.model.text import clean

REVIEWS = ("authentication.k8s.io/v1", "authentication.k8s.io/v1beta1")
ANONYMOUS = "system:anonymous"

_SUBRESOURCES = frozenset(
    {
        "log",
        "proxy",
        "eviction",
        "status",
        "scale",
        "token",
        "binding",
        "exec",
        "attach",
        "portforward",
        "ephemeralcontainers",
        "finalize",
        "approval",
    }
)


def of_review(answer: Mapping[str, Any]) -> Identity:
    """Read a SelfSubjectReview. Raises Unreachable when it says anonymous, or nobody."""
    who = dig(answer, "status", "userInfo") or {}
    user = clean(who.get("username") or "")
    if not user or user == ANONYMOUS:
        raise Unreachable(
            "the API server takes this for an anonymous user",
            code="MU7008",
            fix="log in, or choose another --context",
            why="credentials are missing, or did not arrive",
            cluster="nothing was changed",
        )
    return Identity(
        user=user, uid=clean(who.get("uid") or ""), groups=tuple(clean(each) for each in who.get("groups") or ())
    )


def unchanged(before: Identity, now: Identity) -> None:
    """Raise Unreachable when the credentials now speak for somebody else."""
    if (before.user, before.uid) != (now.user, now.uid):
        raise Unreachable(
            f"the credentials now speak for {now.user}, before for {before.user}",
            code="MU7008",
            why="one run is one person's",
            fix=f"log in as {before.user}, then meshup apply --resume",
        )


def access_review(verb: str, resource: str, namespace: str, name: str) -> Mapping[str, Any]:
    """Make a SelfSubjectAccessReview; resource as Reader.can_i describes it."""
    parts = resource.split("/")
    group = subresource = ""
    if len(parts) == 3:
        group, plural, subresource = parts
    elif len(parts) == 2 and parts[1] in _SUBRESOURCES:
        plural, subresource = parts
    elif len(parts) == 2:
        group, plural = parts
    else:
        plural = resource
    asked = {
        "verb": verb,
        "group": group,
        "resource": plural,
        "subresource": subresource,
        "namespace": namespace,
        "name": name,
    }
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in asked.items() if value}},
    }
