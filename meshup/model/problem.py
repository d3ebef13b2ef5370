"""What can go wrong, as values and as one tree of exceptions that carry their exit code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """Exit codes of every command; `plan --detailed-exitcode` has its own 0, 1, 2 (DESIGN section 8)."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    GATE_HELD = 3
    UNDONE = 4
    WAITING = 5
    REFUSED = 6
    UNREACHABLE = 7
    DEADLINE = 8
    ROLLBACK_FAILED = 9
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A place in a file (line and column from 1, 0 when unknown) or an object of the cluster, never both.

    source: the line's text without its end, for the caret. width: characters to underline.
    """

    file: str = ""
    line: int = 0
    column: int = 0
    source: str = ""
    width: int = 1
    object: str = ""

    def __str__(self) -> str:
        if self.file:
            return f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return self.object


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding: code (MUxxxx, never reused), what happened, where, why, and what to do.

    hint: a short remark beside the caret, such as a did-you-mean. severity: error or warning.
    """

    code: str
    what: str
    fix: str
    at: Where | None = None
    why: str = ""
    hint: str = ""
    severity: str = "error"


class MeshupError(Exception):
    """Anything that stops a command for a reason the user can act on.

    cluster: one line that says what was and was not changed. details: further lines, one per object or field.
    problems: all findings of one kind when the error stands for several.
    """

    exit: ClassVar[Exit] = Exit.UNEXPECTED

    def __init__(
        self,
        what: str,
        *,
        code: str,
        fix: str,
        why: str = "",
        at: Where | None = None,
        cluster: str = "",
        details: tuple[str, ...] = (),
        problems: tuple[Problem, ...] = (),
    ) -> None:
        super().__init__(what)
        self.what, self.code, self.fix, self.why, self.at = what, code, fix, why, at
        self.cluster, self.details, self.problems = cluster, details, problems


class UsageError(MeshupError):
    """The command line, the runbook or a file given to the command is not usable."""

    exit = Exit.USAGE


class GateHeld(MeshupError):
    """A gate did not hold, or stayed unknown to its deadline; the cluster is in the last good stage."""

    exit = Exit.GATE_HELD


class Waiting(MeshupError):
    """The run waits for an approval, an opt-in or a long soak; the lock is free."""

    exit = Exit.WAITING


class Refused(MeshupError):
    """Stale plan, lock held, wrong cluster, drift: nothing was written."""

    exit = Exit.REFUSED


class Unreachable(MeshupError):
    """No cluster answers, or it does not let this identity in."""

    exit = Exit.UNREACHABLE


class DeadlinePassed(MeshupError):
    """A deadline passed or the API server was gone for too long; resumable."""

    exit = Exit.DEADLINE


class RollbackFailed(MeshupError):
    """The way back failed; a person must act."""

    exit = Exit.ROLLBACK_FAILED


class Interrupted(MeshupError):
    """SIGINT or SIGTERM; the current write was finished and journalled; resumable."""

    exit = Exit.INTERRUPTED
