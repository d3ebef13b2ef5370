"""What a Prometheus holds of a driver's families, how often it scrapes, and which queries follow from that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from meshup.gates.evidence.told import Told, instant
from meshup.gates.gate import Eyes
from meshup.gates.prometheus import filled
from meshup.meshes.asks import Ask, Family

Split = Literal["all", "some", "none"]
COUNTED_S = 300.0
"""Scrapes are counted over so many seconds, as the drivers' query says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a server holds. names: of metrics that were asked for and have a sample now. scrape_s: None = not known.

    error, warnings: why that is all that is known.
    """

    names: frozenset[str] = frozenset()
    scrape_s: float | None = None
    error: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One query that will be asked, and the family it is of."""

    family: str
    ask: Ask


def names_query(families: Sequence[Family]) -> str:
    """Write the one query that says which metrics a server has; names of recording rules have colons."""
    names = sorted(
        {name for family in families for name in (*family.needs, *(n for a in family.asks for n in a.names))}
    )
    return f'count by (__name__) ({{__name__=~"{"|".join(names)}"}})'


def held(eyes: Eyes) -> Held:
    """Ask a server what it holds: two queries, whatever the number of services."""
    query = names_query(eyes.driver.comparison())
    scrapes = filled(eyes, eyes.driver.scraping()["scrapes"], {})
    names, counted = eyes.cluster.gather(
        [lambda: instant(eyes, query, at=None), lambda: instant(eyes, scrapes, at=None)]
    )
    error = names.error or counted.error
    warnings = tuple(dict.fromkeys((*names.warnings, *counted.warnings)))
    return Held(
        names=frozenset(row.labels.get("__name__", "") for row in names.rows),
        scrape_s=_interval(counted),
        error=error,
        warnings=warnings,
    )


def told_apart(eyes: Eyes, found: Held) -> bool:
    """Tell whether callers' requests can be told apart by the pod that was called."""
    return any(
        set(family.needs) <= found.names
        for family in eyes.driver.comparison()
        if any((ask.view, ask.split) == ("callers", "address") for ask in family.asks)
    )


def _interval(counted: Told) -> float | None:
    values = [value for row in counted.rows for value in row.values if value is not None and value >= 1]
    return COUNTED_S / max(values) if values and max(values) < float("inf") else None


def chosen(families: Sequence[Family], names: Collection[str], *, split: Split, clients: bool) -> tuple[Chosen, ...]:
    """Choose, metric by metric and view by view, the first family that the server holds.

    split: whether the arms of the compared services have names of their own in the mesh's metrics. Where some have not,
    what splits by address is asked too, and of none it is asked alone. clients: some services only call.
    """
    found: list[Chosen] = []
    done: set[tuple[str, str]] = set()
    there = set(names)
    for family in families:
        if not set(family.needs) <= there:
            continue
        settled: set[tuple[str, str]] = set()
        for ask in family.asks:
            key = (ask.metric, ask.view)
            if key in done or (ask.view == "client" and not clients) or (ask.split == "revision" and split == "none"):
                continue
            found.append(Chosen(family=family.name, ask=ask))
            if ask.split != "revision" or split == "all":
                settled.add(key)
        done |= settled
    twice = {each.ask.metric for each in found if each.ask.split == "revision" and each.ask.rule}
    return tuple(
        each for each in found if each.ask.split != "revision" or each.ask.rule or each.ask.metric not in twice
    )


def told_by(asked: Sequence[Chosen]) -> str:
    """Say which families tell what, for plans: "errors and latency from the mesh's standard metrics; ..."."""
    by_family: dict[str, list[str]] = {}
    for each in asked:
        what = each.ask.metric + (" at callers" if each.ask.view == "callers" else "")
        several = by_family.setdefault(each.family, [])
        if what not in several:
            several.append(what)
    return "; ".join(f"{', '.join(several)} from {family}" for family, several in by_family.items())
