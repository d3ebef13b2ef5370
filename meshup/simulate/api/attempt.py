"""One write on its way through the server: what is asked, by whom, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.store import Obj
from meshup.simulate.api.users import CONTROL_PLANE, User

Operation: TypeAlias = Literal["CREATE", "UPDATE", "DELETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who writes and how. manager "": ownership of fields is not tracked (fast, for controllers in the process).

    validation: what an unknown field is: Strict = refused, Warn = a warning, Ignore = dropped silently.
    """

    user: User = CONTROL_PLANE
    manager: str = ""
    dry_run: bool = False
    subresource: str = ""
    validation: str = "Ignore"


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One write before it is stored; admission alters `obj`. old: None for a creation; obj: None for a deletion."""

    kind: Kind
    operation: Operation
    namespace: str
    name: str
    obj: Obj | None
    old: Obj | None
    by: By
    options: Obj = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
