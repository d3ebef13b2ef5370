"""Series and samples: what a query selects from, and how label matchers choose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

Labels = Mapping[str, str]
Sample = tuple[float, float]
"""(Unix time in seconds, value)."""

NAME = "__name__"


class QueryError(Exception):
    """A query that can't be answered. kind: bad_data (HTTP 400) or execution (HTTP 422), as the real API words it."""

    def __init__(self, text: str, *, kind: str = "bad_data") -> None:
        super().__init__(text)
        self.kind = kind


class Series(NamedTuple):
    """One series. samples: gives those in (start, end], oldest first. latest: the newest of them, where that is cheaper."""

    labels: Labels
    samples: Callable[[float, float], Sequence[Sample]]
    latest: Callable[[float, float], Sample | None] | None = None

    def newest(self, start: float, end: float) -> Sample | None:
        """Give the newest sample in (start, end]; None when there is none, or when its target is gone."""
        if self.latest is not None:
            return self.latest(start, end)
        found = self.samples(start, end)
        return found[-1] if found else None


@dataclass(slots=True)
class Match:
    """One label matcher; a label that is absent counts as empty. Answers are remembered per value."""

    label: str
    holds: Callable[[str], bool]
    _known: dict[str, bool] = field(default_factory=dict)

    def __call__(self, value: str) -> bool:
        """Tell whether a value of the label is chosen."""
        found = self._known.get(value)
        if found is None:
            found = self._known[value] = self.holds(value)
        return found


def match(label: str, op: str, value: str) -> Match:
    """Build a matcher; op: = != =~ !~, patterns are anchored at both ends. Raises QueryError."""
    if op == "=":
        return Match(label, lambda found: found == value)
    if op == "!=":
        return Match(label, lambda found: found != value)
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise QueryError(f"invalid pattern {value!r} of label {label}: {error}") from error
    if op == "=~":
        return Match(label, lambda found: pattern.fullmatch(found) is not None)
    return Match(label, lambda found: pattern.fullmatch(found) is None)


def chosen(labels: Labels, matchers: Iterable[Match]) -> bool:
    """Tell whether every matcher holds."""
    return all(each(labels.get(each.label, "")) for each in matchers)


class Source(Protocol):
    """Where series come from."""

    def select(self, matchers: Sequence[Match], start: float, end: float) -> Sequence[Series]:
        """Give the series that have a sample in (start, end] and whose labels match, `__name__` among them."""
        ...
