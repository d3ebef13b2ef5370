"""The expression language of admission policies (CEL): text to a syntax tree, as far as policies use it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>\d+\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|0x[0-9a-fA-F]+u?|\d+u?)
    | (?P<text>[rR]?(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    | (?P<name>[A-Za-z_]\w*)
    | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])
    )""",
    re.VERBOSE,
)
WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
LEVELS: Sequence[Sequence[str]] = (
    ("||",),
    ("&&",),
    ("<", "<=", ">", ">=", "==", "!=", "in"),
    ("+", "-"),
    ("*", "/", "%"),
)
"""Binary operators, loosest first; all of them group to the left."""
DEEPEST = 30


class Unreadable(Exception):
    """The text is no expression."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """A field of a map."""

    of: Node
    field: str


@dataclass(frozen=True, slots=True)
class Index:
    """An element of a list or a map."""

    of: Node
    at: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator. of: what a method is called on, None for a plain function."""

    name: str
    of: Node | None
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Several:
    """A list."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """A map."""

    items: tuple[tuple[Node, Node], ...]


Node: TypeAlias = Literal | Name | Select | Index | Call | Several | Pairs


def read(text: str) -> Node:
    """Give the tree of an expression. Raises Unreadable."""
    reader = _Reader(_tokens(text))
    found = reader.expression(0)
    if reader.sign():
        raise Unreadable(f"unexpected {reader.sign()!r}")
    return found


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None:
            raise Unreadable(f"token recognition error at: {text[at : at + 10]!r}")
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        at = match.end()
    return found


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens, self._at = tokens, 0

    def sign(self) -> str:
        """Give the text of the next token; empty at the end, and "text" tokens never equal a sign."""
        if self._at >= len(self._tokens):
            return ""
        kind, text = self._tokens[self._at]
        return text if kind != "text" else f"{text} "

    def _take(self, wanted: str = "") -> tuple[str, str]:
        if self._at >= len(self._tokens) or (wanted and self.sign() != wanted):
            raise Unreadable(f"expected {wanted or 'an operand'}, found {self.sign() or 'the end'}")
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip(self, wanted: str) -> bool:
        if self.sign() == wanted:
            self._at += 1
            return True
        return False

    def expression(self, depth: int) -> Node:
        """Read a whole expression, the choice between two included."""
        if depth > DEEPEST:
            raise Unreadable("the expression is nested too deeply")
        test = self._binary(0, depth)
        if not self._skip("?"):
            return test
        yes = self._binary(0, depth)
        self._take(":")
        return Call("?:", None, (test, yes, self.expression(depth + 1)))

    def _binary(self, level: int, depth: int) -> Node:
        if level == len(LEVELS):
            return self._unary(depth)
        left = self._binary(level + 1, depth)
        while self.sign() in LEVELS[level]:
            operator = self._take()[1]
            left = Call(operator, None, (left, self._binary(level + 1, depth)))
        return left

    def _unary(self, depth: int) -> Node:
        if self._skip("!"):
            return Call("!", None, (self._unary(depth + 1),))
        if self._skip("-"):
            return Call("neg", None, (self._unary(depth + 1),))
        return self._member(depth)

    def _member(self, depth: int) -> Node:
        found = self._primary(depth)
        while True:
            if self._skip("."):
                kind, name = self._take()
                if kind != "name":
                    raise Unreadable(f"expected a field, found {name!r}")
                found = Call(name, found, self._items(")", depth)) if self._skip("(") else Select(found, name)
            elif self._skip("["):
                found = Index(found, self.expression(depth + 1))
                self._take("]")
            else:
                return found

    def _primary(self, depth: int) -> Node:
        kind, text = self._take()
        if kind == "number":
            return Literal(_number(text))
        if kind == "text":
            return Literal(_text(text))
        if kind == "name":
            if text in WORDS:
                return Literal(WORDS[text])
            return Call(text, None, self._items(")", depth)) if self._skip("(") else Name(text)
        if text == "(":
            found = self.expression(depth + 1)
            self._take(")")
            return found
        if text == "[":
            return Several(self._items("]", depth))
        if text == "{":
            return Pairs(self._pairs(depth))
        raise Unreadable(f"unexpected {text!r}")

    def _items(self, end: str, depth: int) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._skip(end):
            if found:
                self._take(",")
            found.append(self.expression(depth + 1))
        return tuple(found)

    def _pairs(self, depth: int) -> tuple[tuple[Node, Node], ...]:
        found: list[tuple[Node, Node]] = []
        while not self._skip("}"):
            if found:
                self._take(",")
            key = self.expression(depth + 1)
            self._take(":")
            found.append((key, self.expression(depth + 1)))
        return tuple(found)


def _number(text: str) -> int | float:
    if text.startswith("0x"):
        return int(text.rstrip("u"), 16)
    return int(text.rstrip("u")) if text.rstrip("u").isdigit() else float(text)


ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))")


def _text(text: str) -> str:
    if text[0] in "rR":
        return text[2:-1]

    def one(found: re.Match[str]) -> str:
        for base, group in ((16, found[1]), (16, found[2]), (16, found[3]), (8, found[4])):
            if group:
                return chr(int(group, base))
        return ESCAPES.get(found[5], found[5])

    return ESCAPE.sub(one, text[1:-1])
