"""The value of a policy's expression, given the variables it may name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from meshup.simulate.api.authorizing import PARTS, Check, Decision
from meshup.simulate.api.expressions import Call, Index, Literal, Name, Node, Pairs, Select, Several
from meshup.simulate.api.patterns import as_re2

Lazy = Callable[[], Any]
"""A variable whose value is made when it is asked for."""
UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000001, "ns": 0.000000001}
OVERLOAD = "no such overload"
MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
PLAIN = frozenset(
    {"size", "has", "string", "int", "double", "duration", "timestamp", "matches"}
    | {"?:", "!", "neg", "&&", "||", "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%"}
)


class Failed(Exception):
    """An expression has no value; the message is the server's."""


def unknown_functions(node: Node) -> list[str]:
    """Give the functions that an expression calls and that are not evaluated here."""
    match node:
        case Literal() | Name():
            return []
        case Select():
            return unknown_functions(node.of)
        case Index():
            return unknown_functions(node.of) + unknown_functions(node.at)
        case Several():
            return [name for each in node.items for name in unknown_functions(each)]
        case Pairs():
            return [name for pair in node.items for each in pair for name in unknown_functions(each)]
        case Call():
            known = PLAIN if node.of is None else METHODS.keys() | MACROS
            found = [] if node.name in known else [node.name]
            inner = (*(() if node.of is None else (node.of,)), *node.arguments)
            return found + [name for each in inner for name in unknown_functions(each)]


def names(node: Node, bound: frozenset[str] = frozenset()) -> set[str]:
    """Give the variables that an expression names, those bound by its macros left out."""
    match node:
        case Literal():
            return set()
        case Name():
            return {node.name} - bound
        case Select():
            return names(node.of, bound)
        case Index():
            return names(node.of, bound) | names(node.at, bound)
        case Several():
            return {name for each in node.items for name in names(each, bound)}
        case Pairs():
            return {name for pair in node.items for each in pair for name in names(each, bound)}
        case Call():
            inner = bound
            if node.of is not None and node.name in MACROS and node.arguments and isinstance(node.arguments[0], Name):
                inner = bound | {node.arguments[0].name}
            found = set() if node.of is None else names(node.of, bound)
            return found | {name for each in node.arguments for name in names(each, inner)}


def value(node: Node, variables: Mapping[str, Any]) -> Any:
    """Give the value. Raises Failed."""
    match node:
        case Literal():
            return node.value
        case Name():
            if node.name not in variables:
                raise Failed(f"undeclared reference to '{node.name}'")
            found = variables[node.name]
            return found() if callable(found) else found
        case Select():
            return _field(value(node.of, variables), node.field)
        case Index():
            return _element(value(node.of, variables), value(node.at, variables))
        case Several():
            return [value(each, variables) for each in node.items]
        case Pairs():
            return {value(key, variables): value(each, variables) for key, each in node.items}
        case Call():
            return _called(node, variables)


def _called(node: Call, variables: Mapping[str, Any]) -> Any:
    if node.of is not None and node.name in MACROS:
        return _macro(node, variables)
    if node.name == "has":
        return _has(node.arguments, variables)
    if node.name in ("&&", "||"):
        return _both(node, variables)
    if node.name == "?:":
        test, yes, no = node.arguments
        return value(yes if _truth(value(test, variables)) else no, variables)
    arguments = [value(each, variables) for each in node.arguments]
    if node.of is not None:
        return METHODS[node.name](value(node.of, variables), *arguments)
    return FUNCTIONS[node.name](*arguments)


def _field(of: Any, name: str) -> Any:
    if not isinstance(of, Mapping):
        raise Failed(OVERLOAD)
    if name not in of:
        raise Failed(f"no such key: {name}")
    found = of[name]
    return found() if callable(found) else found


def _element(of: Any, at: Any) -> Any:
    if isinstance(of, Mapping):
        if at not in of:
            raise Failed(f"no such key: {at}")
        return of[at]
    if not isinstance(of, list) or isinstance(at, bool) or not isinstance(at, int):
        raise Failed(OVERLOAD)
    if not 0 <= at < len(of):
        raise Failed(f"index out of bounds: {at}")
    return of[at]


def _has(arguments: tuple[Node, ...], variables: Mapping[str, Any]) -> bool:
    (chosen,) = arguments
    if not isinstance(chosen, Select):
        raise Failed("invalid argument to has() macro")
    of = value(chosen.of, variables)
    return isinstance(of, Mapping) and chosen.field in of


def _both(node: Call, variables: Mapping[str, Any]) -> bool:
    """Judge && and ||: one side alone may decide, also when the other fails."""
    decides = node.name == "||"
    failed: Failed | None = None
    for each in node.arguments:
        try:
            if _truth(value(each, variables)) is decides:
                return decides
        except Failed as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return not decides


def _macro(node: Call, variables: Mapping[str, Any]) -> Any:
    assert node.of is not None
    several = value(node.of, variables)
    if not isinstance(several, list | Mapping) or not isinstance(node.arguments[0], Name):
        raise Failed(OVERLOAD)
    name, *bodies = node.arguments[0].name, *node.arguments[1:]
    scopes = [{**variables, name: each} for each in several]
    match node.name:
        case "map" if len(bodies) == 2:
            return [value(bodies[1], scope) for scope in scopes if _truth(value(bodies[0], scope))]
        case "map":
            return [value(bodies[0], scope) for scope in scopes]
        case "filter":
            return [scope[name] for scope in scopes if _truth(value(bodies[0], scope))]
        case "exists_one":
            return sum(_truth(value(bodies[0], scope)) for scope in scopes) == 1
        case _:
            decides = node.name == "exists"
            failed: Failed | None = None
            for scope in scopes:
                try:
                    if _truth(value(bodies[0], scope)) is decides:
                        return decides
                except Failed as error:
                    failed = failed or error
            if failed is not None:
                raise failed
            return not decides


def _truth(found: Any) -> bool:
    if not isinstance(found, bool):
        raise Failed(OVERLOAD)
    return found


def _sort(of: Any) -> str:
    for kinds, name in SORTS:
        if isinstance(of, kinds):
            return name
    raise Failed(OVERLOAD)


SORTS: tuple[tuple[Any, str], ...] = (
    (bool, "bool"),
    ((int, float), "number"),
    (str, "string"),
    (datetime, "timestamp"),
    (timedelta, "duration"),
    (list, "list"),
    (Mapping, "map"),
    (type(None), "null"),
)


def _equal(left: Any, right: Any) -> bool:
    if _sort(left) != _sort(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(_equal(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, Mapping):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    return bool(left == right)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(left: Any, right: Any) -> bool:
        sort = _sort(left)
        if sort != _sort(right) or sort in ("list", "map", "null"):
            raise Failed(OVERLOAD)
        return test(left, right)

    return compared


def _within(item: Any, of: Any) -> bool:
    if isinstance(of, list):
        return any(_equal(item, each) for each in of)
    if isinstance(of, Mapping):
        return item in of
    raise Failed(OVERLOAD)


def _plus(left: Any, right: Any) -> Any:
    pair = (_sort(left), _sort(right))
    if pair not in SUMS:
        raise Failed(OVERLOAD)
    return left + right


SUMS = frozenset(
    {(each, each) for each in ("number", "string", "list", "duration")}
    | {("timestamp", "duration"), ("duration", "timestamp")}
)


def _minus(left: Any, right: Any) -> Any:
    pairs = (("number", "number"), ("timestamp", "timestamp"), ("timestamp", "duration"), ("duration", "duration"))
    if (_sort(left), _sort(right)) not in pairs:
        raise Failed(OVERLOAD)
    return left - right


def _counted(left: Any, right: Any, how: Callable[[Any, Any], Any]) -> Any:
    if _sort(left) != "number" or _sort(right) != "number":
        raise Failed(OVERLOAD)
    return how(left, right)


def _divided(left: Any, right: Any) -> Any:
    if right == 0 and isinstance(left, int) and isinstance(right, int):
        raise Failed("division by zero")
    if isinstance(left, int) and isinstance(right, int):
        return int(left / right)
    return left / right if right else float("nan")


def _rest(left: Any, right: Any) -> Any:
    if right == 0:
        raise Failed("modulus by zero")
    return left - right * int(left / right)


def _text(of: Any) -> str:
    if isinstance(of, bool):
        return str(of).lower()
    if isinstance(of, datetime):
        return of.isoformat().replace("+00:00", "Z")
    if isinstance(of, timedelta):
        return f"{of.total_seconds():g}s"
    if isinstance(of, str | int | float):
        return str(of)
    raise Failed(OVERLOAD)


def _whole(of: Any) -> int:
    try:
        return int(of)
    except (TypeError, ValueError) as error:
        raise Failed(f"cannot convert {of!r} to int") from error


def _broken(of: Any) -> float:
    try:
        return float(of)
    except (TypeError, ValueError) as error:
        raise Failed(f"cannot convert {of!r} to double") from error


def _duration(text: Any) -> timedelta:
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)", str(text))
    if not parts or "".join(a + b for a, b in parts) != str(text).lstrip("-"):
        raise Failed(f'time: invalid duration "{text}"')
    seconds = sum(float(number) * UNIT_S[unit] for number, unit in parts)
    return timedelta(seconds=-seconds if str(text).startswith("-") else seconds)


def _timestamp(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as error:
        raise Failed(f'parsing time "{text}"') from error


def _matches(text: Any, pattern: Any) -> bool:
    try:
        return re.search(as_re2(_string(pattern)), _string(text)) is not None
    except re.error as error:
        raise Failed(f"error parsing regexp: {error}") from error


def _checked(of: Any) -> Check:
    if not isinstance(of, Check):
        raise Failed(OVERLOAD)
    return of


def _part(name: str) -> Callable[[Any, Any], Check]:
    return lambda of, text: _checked(of).with_part(name, _string(text))


def _allowed(of: Any) -> bool:
    if not isinstance(of, Decision):
        raise Failed(OVERLOAD)
    return of.allowed


def _string(of: Any) -> str:
    if not isinstance(of, str):
        raise Failed(OVERLOAD)
    return of


def _size(of: Any) -> int:
    if isinstance(of, str | list | Mapping):
        return len(of)
    raise Failed(OVERLOAD)


def _list(of: Any) -> list[Any]:
    if not isinstance(of, list):
        raise Failed(OVERLOAD)
    return of


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "size": _size,
    "string": _text,
    "int": _whole,
    "double": _broken,
    "duration": _duration,
    "timestamp": _timestamp,
    "matches": _matches,
    "!": lambda of: not _truth(of),
    "neg": lambda of: _counted(0, of, lambda a, b: a - b),
    "==": _equal,
    "!=": lambda a, b: not _equal(a, b),
    "<": _ordered(lambda a, b: a < b),
    "<=": _ordered(lambda a, b: a <= b),
    ">": _ordered(lambda a, b: a > b),
    ">=": _ordered(lambda a, b: a >= b),
    "in": _within,
    "+": _plus,
    "-": _minus,
    "*": lambda a, b: _counted(a, b, lambda x, y: x * y),
    "/": lambda a, b: _counted(a, b, _divided),
    "%": lambda a, b: _counted(a, b, _rest),
}
METHODS: Mapping[str, Callable[..., Any]] = {
    "size": _size,
    "matches": _matches,
    "startsWith": lambda of, start: _string(of).startswith(_string(start)),
    "endsWith": lambda of, end: _string(of).endswith(_string(end)),
    "contains": lambda of, part: _string(part) in _string(of),
    "lowerAscii": lambda of: _string(of).lower(),
    "upperAscii": lambda of: _string(of).upper(),
    "trim": lambda of: _string(of).strip(),
    "split": lambda of, by: _string(of).split(_string(by)),
    "replace": lambda of, old, new: _string(of).replace(_string(old), _string(new)),
    "join": lambda of, by="": _string(by).join(_string(each) for each in _list(of)),
    "check": lambda of, verb: _checked(of).check(_string(verb)),
    "allowed": _allowed,
    **{name: _part(name) for name in PARTS},
    "getSeconds": lambda of: int(of.total_seconds()) if isinstance(of, timedelta) else of.second,
}
