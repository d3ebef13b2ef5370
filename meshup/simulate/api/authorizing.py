"""The authorizer of a policy's expressions: what the caller may do, asked by steps and decided by the roles in the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from meshup.simulate.api import rbac

May = Callable[[rbac.Asked], bool]
"""Decides whether the caller may do something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question that is still being put together; `check` makes a Decision of it."""

    may: May
    asked: rbac.Asked = rbac.Asked(verb="")

    def with_part(self, name: str, text: str) -> Check:
        """Give the question with one more part: group, resource, subresource, namespace, name or path."""
        return replace(self, asked=replace(self.asked, **{name: text}))

    def check(self, verb: str) -> Decision:
        """Ask."""
        return Decision(allowed=self.may(replace(self.asked, verb=verb)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer."""

    allowed: bool


PARTS = ("group", "resource", "subresource", "namespace", "name", "path")
