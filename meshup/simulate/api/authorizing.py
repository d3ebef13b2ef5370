"""The authorizer of a policy's expressions: what the caller may do, asked by steps and decided by the roles in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from meshup.simulate.api import rbac

May = Callable[[rbac.Asked], bool]
"""Decides whether the caller may do something."""
AUTHORIZER = "kubernetes.authorization.Authorizer"
PATH_CHECK = "kubernetes.authorization.PathCheck"
GROUP_CHECK = "kubernetes.authorization.GroupCheck"
RESOURCE_CHECK = "kubernetes.authorization.ResourceCheck"
DECISION = "kubernetes.authorization.Decision"
STEPS = {
    "path": (AUTHORIZER, PATH_CHECK),
    "group": (AUTHORIZER, GROUP_CHECK),
    "resource": (GROUP_CHECK, RESOURCE_CHECK),
    "subresource": (RESOURCE_CHECK, RESOURCE_CHECK),
    "namespace": (RESOURCE_CHECK, RESOURCE_CHECK),
    "name": (RESOURCE_CHECK, RESOURCE_CHECK),
}
"""What each step is called on and gives. The value of a question is a map: the fields of rbac.Asked that were said so far."""
_may: ContextVar[May] = ContextVar("may")


@contextmanager
def asking(may: May) -> Iterator[None]:
    """Let expressions that are evaluated inside ask this caller's rights."""
    before = _may.set(may)
    try:
        yield
    finally:
        _may.reset(before)


def step(name: str) -> Callable[[dict[str, str], str], dict[str, str]]:
    """Give the function that adds one part to a question."""
    return lambda question, part: {**question, name: part}


def check(question: dict[str, str], verb: str) -> dict[str, Any]:
    """Ask; the value of a decision is a map."""
    return {"allowed": _may.get()(rbac.Asked(verb=verb, **question))}


def allowed(decision: dict[str, Any]) -> bool:
    """Tell what was decided."""
    return bool(decision["allowed"])
