"""A wish as a file of a few lines: what a reviewer reads in a pull request is all there is to it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from meshup.model.moment import instant_or_none, stamp
from meshup.model.problem import Problem, UsageError
from meshup.model.wish import DEEDS, Deed, Wish
from meshup.runbook import marks

API_VERSION = "meshup.dev/v1"
KIND = "Wish"
TEXTS = ("to", "reason", "until", "wave", "not-before", "by")
TAKES: Mapping[Deed, frozenset[str]] = {
    "rollback": frozenset({"to", "reason", "until", "by"}),
    "opt-in": frozenset({"reason", "wave", "not-before", "by"}),
    "opt-out": frozenset({"reason", "by"}),
    "unpin": frozenset({"reason", "by"}),
}
SERVICE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def text(do: Deed, service: str, *, at: datetime, said: Mapping[str, str], path: str) -> str:
    """Write a wish. said: the texts that are not empty. Every value is quoted, so that a version stays a version."""
    rows = [
        f"# What it says is done once, however often this runs: meshup {do} --from {path}",
        f"apiVersion: {API_VERSION}",
        f"kind: {KIND}",
        f"do: {do}",
        f"service: {json.dumps(service)}",
        *(f"{key}: {json.dumps(said[key], ensure_ascii=False)}" for key in TEXTS if said.get(key)),
        f'at: "{stamp(at)}"',
    ]
    return "\n".join(rows) + "\n"


def parse(raw: bytes, name: str) -> Wish:
    """Read a wish. Raises UsageError (MU1015) with every problem at once, with lines."""
    found, source, problems = marks.read(raw, name)
    if problems:
        raise _no_wish(name, problems)
    if not isinstance(found, Mapping):
        raise _no_wish(name, [_odd(source, (), "a wish is a block of keys")])
    do = found.get("do")
    head = [
        _odd(source, (key,), f"{key} must be {wanted}")
        for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND))
        if found.get(key) != wanted
    ]
    if do not in DEEDS:
        head.append(_odd(source, ("do",), f"do must be one of {', '.join(DEEDS)}"))
        raise _no_wish(name, head)
    known = {"apiVersion", "kind", "do", "service", "at", *TAKES[do]}
    head += [
        _odd(source, (key,), f"{do} takes no {key}; it takes {', '.join(sorted(TAKES[do]))}", key=True)
        for key in found
        if key not in known
    ]
    head += [
        _odd(source, (key,), f"{key} must be text; quote it: {json.dumps(str(found[key]))}")
        for key in (*sorted(known), "at")
        if key in found and not isinstance(found[key], str)
    ]
    service, at = found.get("service"), instant_or_none(found.get("at"))
    if not isinstance(service, str) or not SERVICE.fullmatch(service):
        head.append(_odd(source, ("service",), "service must be NAMESPACE/NAME"))
    if at is None:
        head.append(_odd(source, ("at",), "at must be the time of writing, such as 2026-11-02T09:00:00Z"))
    if head or at is None:
        raise _no_wish(name, list(dict.fromkeys(head)))
    said: dict[str, Any] = {key.replace("-", "_"): found[key].strip() for key in TEXTS if key in found}
    digest = hashlib.sha256(json.dumps(dict(found), sort_keys=True).encode()).hexdigest()
    return Wish(do=do, service=str(service), at=at, digest=digest, **said)


def _odd(source: marks.Source, loc: marks.Loc, what: str, *, key: bool = False) -> Problem:
    return Problem(code="MU1015", what=what, at=source.where(loc, key=key), fix="correct the file")


def _no_wish(name: str, problems: Sequence[Problem]) -> UsageError:
    return UsageError(
        f"{name} is no wish that can be performed",
        code="MU1015",
        problems=tuple(problems),
        fix="write it anew: meshup rollback SERVICE ... --write FILE",
        cluster="not contacted",
    )
