"""Frozen values to plain JSON and back: the one codec of plan files and journals."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def dump(value: Any) -> Any:
    """Give the JSON form: dataclasses as mappings with a "type" tag, tuples as lists, times as RFC 3339 UTC.

    Fields equal to their default are left out, so that equal values give equal, short text.
    """
    kind: Any = type(value)
    if kind in PLAIN:
        return value
    if kind is tuple or kind is list:
        return [dump(item) for item in value]
    if kind is dict:
        return {str(key): dump(item) for key, item in value.items()}
    fields = _fields(kind)
    if fields is not None:
        found: dict[str, Any] = {"type": kind.__name__}
        for name, default, factory in fields:
            item = getattr(value, name)
            if default is not dataclasses.MISSING and item == default:
                continue
            if factory is not dataclasses.MISSING and item == factory():
                continue
            found[name] = dump(item)
        return found
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(key): dump(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [dump(item) for item in (sorted(value) if isinstance(value, frozenset) else value)]
    return value


PLAIN = frozenset({str, int, float, bool, type(None)})


@cache
def _fields(kind: type) -> tuple[tuple[str, Any, Any], ...] | None:
    """Give (name, default, default factory) of a dataclass's fields, None for another type."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple((each.name, each.default, each.default_factory) for each in dataclasses.fields(kind))


def load(kind: type[T] | Any, raw: Any) -> T:
    """Build a value of that dataclass (or union of dataclasses, chosen by the tag) from its JSON form.

    Unknown fields are ignored: a newer minor version only adds. Raises ValueError, naming the field, when the form
    does not fit.
    """
    return typing.cast("T", _load(kind, raw, "$"))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _load(kind: Any, raw: Any, at: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return raw
    if origin in (typing.Union, types.UnionType):
        return _load_union(typing.get_args(kind), raw, at)
    if origin is typing.Literal:
        if raw not in typing.get_args(kind):
            raise ValueError(f"{at}: {raw!r} is none of {', '.join(map(str, typing.get_args(kind)))}")
        return raw
    if origin is tuple:
        return _load_tuple(typing.get_args(kind), raw, at)
    if origin is frozenset:
        return frozenset(_load(typing.get_args(kind)[0], item, at) for item in raw)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(raw, Mapping):
            raise ValueError(f"{at}: expected a mapping")
        of = typing.get_args(kind)[1]
        return {key: _load(of, item, f"{at}.{key}") for key, item in raw.items()}
    if dataclasses.is_dataclass(kind):
        return _load_dataclass(typing.cast("type", kind), raw, at)
    return _load_scalar(kind, raw, at)


def _load_union(kinds: tuple[Any, ...], raw: Any, at: str) -> Any:
    if raw is None and type(None) in kinds:
        return None
    if isinstance(raw, Mapping) and "type" in raw:
        for each in kinds:
            if getattr(each, "__name__", "") == raw["type"]:
                return _load(each, raw, at)
    for each in kinds:
        if each is type(None) or (dataclasses.is_dataclass(each) and isinstance(raw, Mapping) and "type" in raw):
            continue
        return _load(each, raw, at)
    raise ValueError(f"{at}: no member of the set fits {raw.get('type') if isinstance(raw, Mapping) else raw!r}")


def _load_tuple(args: tuple[Any, ...], raw: Any, at: str) -> tuple[Any, ...]:
    if not isinstance(raw, list | tuple):
        raise ValueError(f"{at}: expected a list")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_load(args[0], item, f"{at}[{n}]") for n, item in enumerate(raw))
    if len(args) != len(raw):
        raise ValueError(f"{at}: expected {len(args)} items, found {len(raw)}")
    return tuple(_load(of, item, f"{at}[{n}]") for n, (of, item) in enumerate(zip(args, raw, strict=True)))


def _load_dataclass(kind: type, raw: Any, at: str) -> Any:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{at}: expected a mapping for {kind.__name__}")
    hints = _hints(kind)
    known = {
        each.name: _load(hints[each.name], raw[each.name], f"{at}.{each.name}")
        for each in dataclasses.fields(kind)
        if each.name in raw
    }
    try:
        return kind(**known)
    except TypeError as error:
        raise ValueError(f"{at}: {error}") from error


def _load_scalar(kind: Any, raw: Any, at: str) -> Any:
    if kind is datetime:
        if not isinstance(raw, str):
            raise ValueError(f"{at}: expected a time")
        return datetime.fromisoformat(raw)
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        return kind[str(raw).upper()]
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if isinstance(kind, type) and not isinstance(raw, kind):
        raise ValueError(f"{at}: expected {kind.__name__}, found {type(raw).__name__}")
    return raw
