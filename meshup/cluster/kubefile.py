"""Kubeconfig files: read strictly, merged as kubectl merges them, fields taken with their file named in every error."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshup.model.problem import UsageError, Where
from meshup.model.text import clean

MOST_BYTES = 4 * 1024 * 1024
MOST_DEPTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One named cluster, user or context, with the file it stands in (relative paths are beside that)."""

    name: str
    body: Mapping[str, Any]
    path: Path

    @property
    def at(self) -> Where:
        """The file, for an error."""
        return Where(file=str(self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Several kubeconfigs as one: the first file that names something wins."""

    clusters: Mapping[str, Entry]
    users: Mapping[str, Entry]
    contexts: Mapping[str, Entry]
    current: str
    paths: tuple[Path, ...]


def merge(paths: tuple[Path, ...]) -> Merged:
    """Read files and merge them as kubectl does."""
    found: dict[str, dict[str, Entry]] = {"clusters": {}, "users": {}, "contexts": {}}
    current = ""
    for path in paths:
        config = _read(path)
        current = current or text(config, "current-context", Where(file=str(path)))
        for part, inner in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            for name, body in _named(config, part, inner, path):
                found[part].setdefault(name, Entry(name=name, body=body, path=path))
    return Merged(**found, current=current, paths=paths)


def _read(path: Path) -> Mapping[str, Any]:
    import yaml

    where = Where(file=str(path))
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(
                f"{clean(path)} is larger than 4 MiB: no kubeconfig",
                code="MU7002",
                at=where,
                fix="give the right file",
                cluster="not contacted",
            )
        content = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as failed:
        raise UsageError(
            f"the kubeconfig {clean(path)} can't be read",
            code="MU7002",
            at=where,
            why=getattr(failed, "strerror", None) or "not UTF-8 text",
            fix="correct the path or its permissions",
            cluster="not contacted",
        ) from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if max((len(each) - len(each.lstrip(" ")) for each in content.splitlines()), default=0) > 200 or _deep(content):
        raise UsageError(
            f"{clean(path)} is nested too deeply: no kubeconfig",
            code="MU7002",
            at=where,
            fix="give the right file",
            cluster="not contacted",
        )
    try:
        found = yaml.load(content, loader)  # noqa: S506 - a safe loader, the C one where there is one
    except (yaml.YAMLError, ValueError) as failed:
        mark = getattr(failed, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        raise UsageError(
            f"the kubeconfig {clean(path)} is no YAML",
            code="MU7002",
            why=clean(getattr(failed, "problem", "") or ""),
            at=Where(file=str(path), line=line, column=column),
            fix="correct the line",
            cluster="not contacted",
        ) from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UsageError(
            f"{clean(path)} is no kubeconfig",
            code="MU7002",
            at=where,
            fix="give the right file",
            why="kind: Config with clusters, users and contexts is expected",
            cluster="not contacted",
        )
    return found


def _deep(text: str) -> bool:
    """Flow collections can nest without indenting, and the C loader dies of some thousands of them."""
    depth = most = 0
    for char in text:
        if char in "[{":
            depth += 1
            most = max(most, depth)
        elif char in "]}":
            depth -= 1
    return most > 200


def _named(config: Mapping[str, Any], part: str, inner: str, path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    where = Where(file=str(path))
    found = config.get(part) or []
    if not isinstance(found, list):
        raise wrong(f"{part} must be a list", where)
    made: list[tuple[str, Mapping[str, Any]]] = []
    for each in found:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise wrong(f"each entry of {part} needs a name (a string)", where)
        body = each.get(inner) or {}
        if not isinstance(body, dict):
            raise wrong(f'{inner} of "{each["name"]}" must be a mapping', where)
        made.append((each["name"], body))
    return made


def text(body: Mapping[str, Any], key: str, at: Where) -> str:
    """Take a string; "" when it is absent. Any other type is refused: YAML reads 0123 as a number."""
    value = body.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong(f"{key} must be a string; put it in quotes", at)
    return value


def flag(entry: Entry, key: str) -> bool:
    """Take true or false; absent is false."""
    value = entry.body.get(key) or False
    if not isinstance(value, bool):
        raise wrong(f"{key} must be true or false", entry.at)
    return value


def blob(entry: Entry, key: str) -> bytes:
    """Give PEM bytes of KEY-data (base64), else of the file KEY; data wins, as in kubectl."""
    raw = text(entry.body, f"{key}-data", entry.at)
    if raw:
        try:
            return base64.b64decode("".join(raw.split()), validate=True)
        except (binascii.Error, ValueError):
            raise wrong(f'{key}-data of "{entry.name}" is no base64', entry.at, code="MU7004") from None
    name = text(entry.body, key, entry.at)
    if not name:
        return b""
    path = beside(entry, name)
    try:
        return path.read_bytes()
    except OSError as failed:
        raise UsageError(
            f'{key} of "{clean(entry.name)}" can\'t be read: {clean(path)}',
            code="MU7004",
            why=failed.strerror or "",
            at=entry.at,
            fix="correct the path, or log in again",
            cluster="not contacted",
        ) from None


def beside(entry: Entry, name: str) -> Path:
    """Resolve a path; a relative one stands beside its kubeconfig."""
    path = Path(name)
    return path if path.is_absolute() else entry.path.absolute().parent / path


def wrong(what: str, at: Where, *, code: str = "MU7002") -> UsageError:
    """Make the error of a file that is read, but not right."""
    return UsageError(
        f"the kubeconfig is wrong: {clean(what)}", code=code, at=at, fix="correct the file", cluster="not contacted"
    )
