"""YAML read with care: limits before building, nothing but data, and a line and column for every value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from meshup.model.problem import Problem, Where
from meshup.model.text import of_runbook

MOST_BYTES = 1024 * 1024
MOST_DEPTH = 64
MOST_NODES = 100_000
Loc = tuple[str | int, ...]


@dataclass(slots=True)
class Source:
    """One file: its lines for carets, and a mark for each value. marks: path -> (line, column, width) from 1."""

    name: str
    lines: list[str] = field(default_factory=list)
    marks: dict[Loc, tuple[int, int, int]] = field(default_factory=dict)
    keys: dict[Loc, tuple[int, int, int]] = field(default_factory=dict)

    def where(self, loc: Loc, *, key: bool = False) -> Where:
        """Give the place of a value (or of its key), else of the nearest one around it."""
        for table in (self.keys, self.marks) if key else (self.marks, self.keys):
            if loc in table:
                return self.at(*table[loc])
        while loc:
            loc = loc[:-1]
            if loc in self.keys:
                return self.at(*self.keys[loc])
            if loc in self.marks:
                return self.at(*self.marks[loc])
        return self.at(1, 1, 1)

    def at(self, line: int, column: int, width: int) -> Where:
        """Give a place with its source line."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Where(file=self.name, line=line, column=column, source=_shown(text), width=width)


def _shown(text: str) -> str:
    return "".join(each if each.isprintable() or each == "\t" else "\N{REPLACEMENT CHARACTER}" for each in text)


def read(raw: bytes, name: str) -> tuple[Any, Source, list[Problem]]:
    """Give the document as plain values, its marks, and what is wrong with the file. Never raises."""
    source = Source(name=name)
    if len(raw) > MOST_BYTES:
        return (
            None,
            source,
            [_problem(source, "MU1102", f"it is {len(raw)} bytes long, at most {MOST_BYTES} are read", 1, 1)],
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return None, source, [_problem(source, "MU1103", f"byte {error.start} is not UTF-8", line, 1)]
    source.lines = text.splitlines()
    found = list(_scanned(text, source))
    if found:
        return None, source, found
    return _built(text, source)


def again(name: str) -> str:
    """Give the command that checks a file once more."""
    return f"meshup lint{of_runbook(name)}"


def _problem(source: Source, code: str, what: str, line: int, column: int, width: int = 1) -> Problem:  # noqa: PLR0917
    return Problem(
        code=code, what=what, at=source.at(line, column, width), fix=f"correct line {line}, then: {again(source.name)}"
    )


def _scanned(text: str, source: Source) -> Iterator[Problem]:
    """Look at parser events only: depth, count, anchors, aliases, tags, several documents. Nothing is built."""
    import yaml

    depth = count = documents = 0
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            mark: Any = event.start_mark
            line, column = mark.line + 1, mark.column + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    yield _problem(
                        source, "MU1104", "a runbook is one YAML document, this begins another", line, column
                    )
                    return
            elif isinstance(event, yaml.AliasEvent):
                yield _problem(
                    source, "MU1105", f"the alias *{event.anchor} is not allowed: a runbook is plain data", line, column
                )
                return
            elif isinstance(event, yaml.NodeEvent):
                count += 1
                if event.anchor is not None:
                    yield _problem(
                        source,
                        "MU1105",
                        f"the anchor &{event.anchor} is not allowed: a runbook is plain data",
                        line,
                        column,
                    )
                    return
                tag = getattr(event, "tag", None)
                if (
                    tag is not None
                    and tag != "!"
                    and not (isinstance(event, yaml.ScalarEvent) and tag == "tag:yaml.org,2002:str")
                ):
                    yield _problem(
                        source, "MU1106", f"the tag {tag} is not allowed: a runbook is plain data", line, column
                    )
                    return
                if isinstance(event, yaml.CollectionStartEvent):
                    depth += 1
                if depth > MOST_DEPTH or count > MOST_NODES:
                    what = (
                        f"nesting deeper than {MOST_DEPTH}" if depth > MOST_DEPTH else f"more than {MOST_NODES} values"
                    )
                    yield _problem(source, "MU1107", what, line, column)
                    return
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError as error:
        yield _broken(error, source)


OPENED = ("while parsing a flow", "while scanning a quoted", "while scanning a simple key")


def _broken(error: Exception, source: Source) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    opened = getattr(error, "context_mark", None)
    if opened is not None and str(getattr(error, "context", "")).startswith(OPENED):
        mark = opened  # what was never closed is the mistake; where it was noticed may be far below
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    line = min(line, max(1, len(source.lines)))
    what = str(getattr(error, "problem", None) or error).splitlines()[0][:200]
    return _problem(source, "MU1101", f"this is no YAML: {what}", line, column)


def _built(text: str, source: Source) -> tuple[Any, Source, list[Problem]]:
    import yaml

    try:
        loader = yaml.CSafeLoader(text) if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader(text)
        node = loader.get_single_node()
    except (yaml.YAMLError, RecursionError) as error:
        return None, source, [_broken(error, source)]
    if node is None:
        return None, source, [_problem(source, "MU1108", "the file is empty", 1, 1)]
    found: list[Problem] = []
    try:
        value = _value(node, (), source, found, loader)
    except (ValueError, yaml.YAMLError, OverflowError) as error:
        return None, source, [_broken(error, source)]
    return value, source, found


def _mark(node: Any) -> tuple[int, int, int]:
    start, end = node.start_mark, node.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return start.line + 1, start.column + 1, max(1, width)


def _value(node: Any, loc: Loc, source: Source, found: list[Problem], loader: Any) -> Any:
    import yaml

    source.marks[loc] = _mark(node)
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line, column, width = _mark(key_node)
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                shown = str(getattr(key_node, "value", "?"))[:40]
                merge = key_node.tag == "tag:yaml.org,2002:merge"
                what = (
                    "merge keys are not allowed: a runbook is plain data"
                    if merge
                    else f'the key {shown} must be text; quote it: "{shown}"'
                )
                found.append(_problem(source, "MU1109", what, line, column, width))
                continue
            key = key_node.value
            if key in result:
                found.append(
                    _problem(source, "MU1110", f'the key "{key}" stands twice in this block', line, column, width)
                )
                continue
            source.keys[(*loc, key)] = (line, column, width)
            result[key] = _value(value_node, (*loc, key), source, found, loader)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, (*loc, number), source, found, loader) for number, each in enumerate(node.value)]
    if node.tag == "tag:yaml.org,2002:timestamp":
        return node.value
    value = loader.construct_object(node)
    if isinstance(value, str) and any(
        (ord(each) < 32 and each not in "\n\t") or 127 <= ord(each) < 160 for each in value
    ):
        line, column, width = _mark(node)
        found.append(_problem(source, "MU1111", "the text holds a control character", line, column, width))
    return value
