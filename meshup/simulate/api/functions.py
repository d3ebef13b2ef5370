"""The functions that Kubernetes adds to expressions, for the library that evaluates them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from meshup.simulate.api.authorizing import DECISION, PATH_CHECK, RESOURCE_CHECK, STEPS, allowed, check, step

NOT_HERE = frozenset(
    {"serviceAccount", "fieldSelector", "labelSelector", "reason", "error", "errored"}
    | {"quantity", "isQuantity", "url", "isURL", "ip", "isIP", "cidr", "isCIDR", "format", "semver", "isSemver"}
    | {"sort", "sortBy", "distinct", "flatten", "slice", "reverse", "lists", "find", "findAll"}
    | {"all", "exists", "existsOne", "exists_one", "transformList", "transformMap", "transformMapEntry"}
)
"""What Kubernetes 1.34 knows and is not evaluated here; a macro of lists stands for its form with two variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function. takes, gives: names of types, of the library or of Kubernetes. member: called on the first."""

    name: str
    takes: tuple[str, ...]
    gives: str
    does: Callable[..., Any]
    member: bool = True


SUMMED = (int, float, timedelta)
ORDERED = (*SUMMED, bool, str, datetime)


def _alike(several: list[Any], kinds: tuple[type, ...]) -> list[Any]:
    """Give a list whose items are of one of these types. Raises ValueError with the server's words."""
    if len({type(each) for each in several}) > 1 or not all(type(each) in kinds for each in several):
        raise ValueError("no such overload")
    return several


def _total(several: list[Any]) -> Any:
    first, *others = _alike(several, SUMMED) or [0]
    for each in others:
        first += each
    return first


def _chosen(name: str, choose: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    def chosen(several: list[Any]) -> Any:
        if not several:
            raise ValueError(f"{name} called on empty list")
        return choose(_alike(several, ORDERED))

    return chosen


def _in_order(several: list[Any]) -> bool:
    return all(left <= right for left, right in pairwise(_alike(several, ORDERED)))


def _holds(several: list[Any], one: Any) -> bool:
    return any(each == one and isinstance(each, bool) is isinstance(one, bool) for each in several)


def _within(several: list[Any], wanted: list[Any]) -> bool:
    return all(_holds(several, each) for each in wanted)


FUNCTIONS = (
    *(Function(name=name, takes=(of, "STRING"), gives=gives, does=step(name)) for name, (of, gives) in STEPS.items()),
    Function(name="check", takes=(PATH_CHECK, "STRING"), gives=DECISION, does=check),
    Function(name="check", takes=(RESOURCE_CHECK, "STRING"), gives=DECISION, does=check),
    Function(name="allowed", takes=(DECISION,), gives="BOOL", does=allowed),
    Function(name="isSorted", takes=("LIST",), gives="BOOL", does=_in_order),
    Function(name="sum", takes=("LIST",), gives="DYN", does=_total),
    Function(name="min", takes=("LIST",), gives="DYN", does=_chosen("min", min)),
    Function(name="max", takes=("LIST",), gives="DYN", does=_chosen("max", max)),
    Function(name="sets.contains", takes=("LIST", "LIST"), gives="BOOL", does=_within, member=False),
    Function(
        name="sets.equivalent",
        takes=("LIST", "LIST"),
        gives="BOOL",
        does=lambda left, right: _within(left, right) and _within(right, left),
        member=False,
    ),
    Function(
        name="sets.intersects",
        takes=("LIST", "LIST"),
        gives="BOOL",
        does=lambda left, right: any(_holds(left, each) for each in right),
        member=False,
    ),
)
