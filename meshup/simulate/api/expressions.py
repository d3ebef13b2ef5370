"""The expression language of admission policies (CEL): text to what can be evaluated, by a library, in the server's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from meshup.simulate.api.authorizing import AUTHORIZER, RESOURCE_CHECK
from meshup.simulate.api.functions import FUNCTIONS, NOT_HERE, Function
from meshup.simulate.api.presence import guarded

VARIABLES = {
    "object": "DYN",
    "oldObject": "DYN",
    "request": "DYN",
    "namespaceObject": "DYN",
    "authorizer": AUTHORIZER,
    "authorizer.requestResource": RESOURCE_CHECK,
}
"""What every expression may name. The values of Kubernetes' own types (a dot in the name) are maps here."""
STRINGS = 2
"""Version of the string functions: the one of Kubernetes 1.34 (apiserver, pkg/cel/environment/base.go)."""
LANGUAGES = 256
FAULT = re.compile(r"ERROR: .*?(?=\nERROR: |\Z)", re.DOTALL)
UNDECLARED = re.compile(
    r"ERROR: <input>:(\d+):(\d+): undeclared reference to '([\w.]+)' \(in container ''\)\n \| (.*)\n.*"
)
MIXED = re.compile(r"no matching overload for '_[<>]=?_' applied to '\((int|uint|double), (int|uint|double)\)'")
LISTED = re.compile(r"no matching overload for '(indexOf|lastIndexOf)' applied to '\((?:list\(|dyn, (?!string))")
TIMES = {"TIMESTAMP": "google.protobuf.Timestamp", "DURATION": "google.protobuf.Duration"}
UPPER = re.compile(r"\b[A-Z]+\b")
WORDS = (
    (re.compile(r"\bgoogle\.protobuf\.Timestamp\b"), "timestamp"),
    (re.compile(r"\bgoogle\.protobuf\.Duration\b"), "duration"),
    (re.compile(r"\bT%\d+"), "dyn"),
    (re.compile(r"has\(\) argument must be a field selection"), "invalid argument to has() macro"),
    (re.compile(r"\w+\(\) variable name must be a simple identifier"), "argument must be a simple name"),
)
"""What the library words otherwise than the server."""


class Unreadable(Exception):
    """The text is no expression; the message is the server's."""


class NotHere(Exception):
    """The server may understand the expression; the message names what is not evaluated here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """What can be evaluated.

    sort: its type in the server's words; "" where only its value shows it. names: the policy's variables in it.
    program: the library's.
    """

    text: str
    sort: str
    names: tuple[str, ...]
    program: Any


class Language:
    """What the expressions of one policy may name, and what it read so far.

    variables: (name, text) in order, each may name those before it. broken: why one can't be read; it counts as of any type.
    """

    def __init__(self, variables: tuple[tuple[str, str], ...], *, params: bool) -> None:
        self.variables = dict(variables)
        self.broken: dict[str, Unreadable | NotHere] = {}
        names = {name: _type(sort) for name, sort in VARIABLES.items()} | ({"params": _type("DYN")} if params else {})
        self._checking = _checking(names)
        for name, text in variables:
            names[f"variables.{name}"] = _type("DYN")
            try:
                found = self._checked(text)
            except (Unreadable, NotHere) as error:
                self.broken[name] = error
            else:
                if found is not None and found.return_type().name().startswith("optional"):
                    self.broken[name] = NotHere("a variable with an optional value in expressions")
                elif found is not None:
                    names[f"variables.{name}"] = found.return_type()
            self._checking = _checking(names)
        self._running = _running(names)
        self._read: dict[str, Expression] = {}

    def read(self, text: str) -> Expression:
        """Compile an expression. Raises Unreadable, NotHere."""
        if text not in self._read:
            found = self._checked(text)
            self._read[text] = Expression(
                text=text,
                sort="" if found is None else _sort(found),
                names=tuple(each for each in self.variables if re.search(rf"\bvariables\s*\.\s*{each}\b", text)),
                program=self._program(text, found),
            )
        return self._read[text]

    def _checked(self, text: str) -> Any:
        """Give the library's checked expression; None for one that compares numbers of two sorts, which the server may."""
        try:
            return self._checking.compile(guarded(text))
        except RuntimeError as error:
            said = str(error)
        if "recursion" in said:
            raise NotHere("expressions that are nested more than 32 deep")
        try:
            self._checking.compile(text)
        except RuntimeError as error:  # the places in the text as it was written
            said = str(error)
        faults = list(_faults(said, fields=bool(self.variables)))
        if not faults:
            return None
        raise Unreadable("compilation failed: " + "\n".join(faults))

    def _program(self, text: str, found: Any) -> Any:
        try:
            return self._running.compile(guarded(text), disable_check=found is None)
        except RuntimeError:  # right by the server's types and wrong by theirs here, as authorizer == null
            return self._running.deserialize(found.serialize())

    def seeing(self, data: Mapping[str, Any]) -> Any:
        """Give data in the form in which a program is given it."""
        return self._running.Activation(data)


@lru_cache(LANGUAGES)
def language(variables: tuple[tuple[str, str], ...], *, params: bool) -> Language:
    """Give the language of the policies that declare these variables, with or without parameters."""
    return Language(variables, params=params)


def _faults(said: str, *, fields: bool) -> Iterator[str]:
    """Yield each fault in the server's words. fields: a policy's variables are fields of `variables`. Raises NotHere."""
    for fault in FAULT.findall(said.removesuffix(" [INVALID_ARGUMENT]")):
        if MIXED.search(fault) or "<<nil>> parsetree" in fault:
            continue
        if LISTED.search(fault):
            raise NotHere("the place of an item in a list in expressions")
        undeclared = UNDECLARED.fullmatch(fault)
        if undeclared is None:
            for pattern, word in WORDS:
                fault = pattern.sub(word, fault)  # noqa: PLW2901
            yield fault
            continue
        line, column, name, text = undeclared.groups()
        if name.partition(".")[0] in NOT_HERE:
            raise NotHere(f"the function {name} in expressions")
        yield _undeclared(int(line), int(column), name, text, fields=fields)


def _undeclared(line: int, column: int, name: str, text: str, *, fields: bool) -> str:
    """Word what is not declared. The server names the first part, or the field of variables, and points at it."""
    first, *others = name.split(".")
    said = f"undeclared reference to '{first}' (in container '')"
    at = column
    if others:
        start = text.rfind(first, 0, column)
        at = start + 1
        if fields and first == "variables":
            said, at = f"undefined field '{others[0]}'", text.index(".", start) + 1
    return f"ERROR: <input>:{line}:{at}: {said}\n | {text}\n | {'.' * (at - 1)}^"


def _checking(names: Mapping[str, Any]) -> Any:
    """Give what checks expressions: with the types that the server gives. names: variable -> type."""
    from cel_expr_python import cel

    return cel.NewEnv(variables=names, extensions=_extensions(), functions=_declared())


def _running(names: Mapping[str, Any]) -> Any:
    """Give what evaluates them: there a value of Kubernetes' own types is a map, and what a name does to it is said once."""
    from cel_expr_python import cel

    variables = {name: _type("MAP") if "." in sort.name() else sort for name, sort in names.items()}
    return cel.NewEnv(variables=variables, extensions=_extensions(), functions=_defined())


@lru_cache(1)
def _declared() -> list[Any]:
    return _functions((each, _overload(each, each.takes, each.gives)) for each in FUNCTIONS)


@lru_cache(1)
def _defined() -> list[Any]:
    overloads: dict[tuple[str, ...], tuple[Function, Any]] = {}
    for each in FUNCTIONS:
        takes, gives = tuple(_plain(sort) for sort in each.takes), _plain(each.gives)
        overloads[each.name, *takes] = (each, _overload(each, takes, gives, impl=each.does))
    return _functions(overloads.values())


@lru_cache(1)
def _extensions() -> list[Any]:
    from cel_expr_python.ext import ext_optional, ext_strings

    return [ext_strings.ExtStrings(STRINGS), ext_optional.ExtOptional()]


def _functions(overloads: Iterable[tuple[Function, Any]]) -> list[Any]:
    from cel_expr_python import cel

    named: dict[str, list[Any]] = {}
    for function, overload in overloads:
        named.setdefault(function.name, []).append(overload)
    return [cel.FunctionDecl(name, several) for name, several in named.items()]


def _overload(function: Function, takes: Sequence[str], gives: str, **does: Callable[..., Any]) -> Any:
    from cel_expr_python import cel

    return cel.Overload(
        "_".join((function.name, *takes)),
        return_type=_type(gives),
        parameters=[_type(each) for each in takes],
        is_member=function.member,
        **does,
    )


def _plain(sort: str) -> str:
    return "MAP" if "." in sort else sort


def _type(name: str) -> Any:
    """Give one of the library's types, or one of Kubernetes' own."""
    from cel_expr_python import cel

    return cel.Type.AbstractType(name) if "." in name else getattr(cel.Type, name)


def _sort(found: Any) -> str:
    """Say the type of an expression as the server does."""
    name = str(found.return_type().name()).replace("<", "(").replace(">", ")")
    return UPPER.sub(lambda word: TIMES.get(word[0], word[0].lower()), name)
