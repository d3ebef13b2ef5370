"""The value of a policy's expression, given what it may name, and why there is none, in the server's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from meshup.simulate.api.authorizing import May, asking
from meshup.simulate.api.expressions import Language
from meshup.simulate.api.problems import not_here

CODE = re.compile(r"^[A-Z_]+: ")
OVERLOAD = "no such overload"
UNSET = re.compile(r'No value with name "variables\.(\w+)" found in Activation')
SELECTED = "Applying SELECT to non-message type"
CHAIN = re.compile(r"\b(object|oldObject|params|request|namespaceObject)((?:\s*\.\s*\w+)+)(?!\s*\()")
UNGIVEN = re.compile(
    r"^(?:Non-CEL value|Unexpected value|Integer value) |\(list\)\.(?:i|lastI)ndexOf\(|\bint\(duration\)"
)
"""What the server evaluates and the library does not."""
CUT = "expressions about a text with the character U+0000, which the library for them would cut there"
WORDS = (
    (re.compile(r'Key not found in map : "?(.*?)"?$', re.DOTALL), r"no such key: \1"),
    (re.compile(r"Index error: index=(-?\d+) size=\d+$"), r"index out of bounds: \1"),
    (re.compile(r"Index error: expected integer type, got (\w+)$"), r"unsupported index type '\1' in list"),
    (re.compile(r"divide by zero$"), "division by zero"),
    (re.compile(r"No matching overloads found : .*", re.DOTALL), OVERLOAD),
    (re.compile(r"Invalid container type: .*"), OVERLOAD),
    (
        re.compile(r"String to (Timestamp|Duration) conversion failed$"),
        r"type conversion error from 'string' to 'google.protobuf.\1'",
    ),
    (re.compile(r"cannot convert string to (\w+)$"), r"type conversion error from 'string' to '\1'"),
    (re.compile(r"Type conversion error "), "type conversion error "),
    (re.compile(r"int64 out of uint64 range$"), "unsigned integer overflow"),
    (re.compile(r"double out of int64 range$"), "integer overflow"),
    (re.compile(r"invalid regular expression: missing \]: (.*)$"), r"error parsing regexp: missing closing ]: `\1`"),
    (re.compile(r"invalid regular expression: "), "error parsing regexp: "),
)
"""What the library says, and what the server (cel-go) says of the same."""


class Failed(Exception):
    """An expression has no value; the message is the server's."""


class Given:
    """What the expressions of one policy see of one request; the policy's variables get a value when an expression names them.

    data: name -> value as JSON has it. may: what the caller may do. Raises Refusal 501 for what the library can't be given.
    """

    def __init__(self, language: Language, data: Mapping[str, Any], may: May) -> None:
        if any(_is_cut(each) for each in data.values()):
            raise not_here(CUT)
        self._language, self._data, self._may = language, dict(data), may
        self._failed: dict[str, str] = {}

    def value(self, text: str) -> Any:
        """Evaluate an expression. Raises Failed, and Refusal 501; Unreadable and NotHere for what no policy is stored with."""
        expression = self._language.read(text)
        for name in expression.names:
            self._settle(name)
        data = self._data
        if not expression.sort:  # nothing is known of it, so its variables are fields of one value
            found = {name: self._data[f"variables.{name}"] for name in expression.names if name not in self._failed}
            data = {**data, "variables": found}
        try:
            with asking(self._may):
                result = expression.program.eval(self._language.seeing(data))
            found = result.plain_value()
        except (RuntimeError, TypeError, SystemError) as error:  # how it says that a value can't be passed (0.1.3)
            raise not_here(
                f"expressions with values that can't be passed from or to the library for them: {text}"
            ) from error
        if result.type().name() == "ERROR":
            raise Failed(self._why(str(found), text))
        return found

    def _settle(self, name: str) -> None:
        if name in self._failed or f"variables.{name}" in self._data:
            return
        self._failed[name] = ""  # a text in it may hold its name
        try:
            found = self.value(self._language.variables[name])
        except Failed as failed:
            self._failed[name] = str(failed)
            return
        del self._failed[name]
        if _is_cut(found):
            raise not_here(CUT)
        self._data[f"variables.{name}"] = found

    def _why(self, said: str, text: str) -> str:
        said = CODE.sub("", said)
        unset = UNSET.match(said)
        if unset is not None and unset[1] in self._failed:
            return f'composited variable "{unset[1]}" fails to evaluate: {self._failed[unset[1]]}'
        if UNGIVEN.search(said):
            raise not_here(f"expressions with what the library for them doesn't do: {said}")
        if said == SELECTED:
            return self._selected(text)
        for pattern, word in WORDS:
            if pattern.match(said):
                return pattern.sub(word, said)
        return said

    def _selected(self, text: str) -> str:
        """Name the field that was asked of what has none, where the text says it by names alone."""
        for name, fields in CHAIN.findall(text):
            found = self._data.get(name)
            for field in re.findall(r"\w+", fields):
                if isinstance(found, list):
                    return "unsupported index type 'string' in list"
                if not isinstance(found, Mapping):
                    return f"no such key: {field}"
                if field not in found:
                    break
                found = found[field]
        return OVERLOAD


def _is_cut(value: Any) -> bool:
    """Tell whether the library would be given less than is there: it takes texts up to their first U+0000 (0.1.3)."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _is_cut(inner) for key, inner in value.items())
    return isinstance(value, list) and any(_is_cut(inner) for inner in value)
