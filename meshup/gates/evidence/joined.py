"""Rows of grouped queries given to services, views and arms; pure. What can't be given to one arm is counted, not guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from meshup.gates.evidence.arms import ARMS, GATEWAY, Arm, Index
from meshup.gates.evidence.told import Row
from meshup.meshes.asks import Ask, Whose
from meshup.model.runbook import Service
from meshup.model.samples import OWN, Buckets, Counts, Number, Points, Sampled

ANOTHER = "another caller"
CODES = ("response_code_class", "response_code")


@dataclass(slots=True)
class Sums:
    """One arm of one figure while rows are added. None: a part of it was no number, and stays none."""

    parts: dict[str, Number] = field(default_factory=dict)
    buckets: dict[float, Number] = field(default_factory=dict)
    points: list[Number] = field(default_factory=list)
    resets: int | None = 0
    fell: int = 0

    def add(self, part: str, value: Number) -> None:
        """Add to a part."""
        self.parts[part] = plus(self.parts.get(part, 0.0), value)


@dataclass(slots=True)
class Figure:
    """One metric of one service as one view tells it. pods: whose proxies told it; strays: rows of neither arm."""

    arms: dict[Arm, Sums] = field(default_factory=dict)
    pods: set[str] = field(default_factory=set)
    strays: int = 0

    def arm(self, arm: Arm) -> Sums:
        """Give the sums of an arm, begun when they are first needed."""
        return self.arms.setdefault(arm, Sums())


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a row belongs. arm "" : to this service, and to neither arm."""

    service: str
    view: str
    arm: Arm


def plus(left: Number, right: Number) -> Number:
    """Add two figures; one that is none makes none."""
    return None if left is None or right is None else left + right


class Places:
    """Decides where rows belong, for one look."""

    def __init__(
        self,
        index: Index,
        services: Iterable[Service],
        *,
        every: Iterable[Service],
        home: str,
        pod: str,
        whose: Callable[[Mapping[str, str]], Whose],
    ) -> None:
        """services: those compared. every: of the runbook. home, pod: labels that the scrape adds."""
        self.index = index
        self._home, self._pod, self._whose = home, pod, whose
        self._services = {each.id: each for each in services}
        self._workloads = {f"{each.namespace}/{each.workload.name}": each.id for each in every}
        gateways = (each.pod for each in index.by_service.get(GATEWAY, ()))
        self._gateways = tuple(sorted({name.rpartition("-")[0].rpartition("-")[0] for name in gateways}))

    def pod(self, row: Row) -> str:
        """Give namespace/name of the pod that was scraped, "" when the row does not say."""
        home, name = row.labels.get(self._home, ""), row.labels.get(self._pod, "")
        return f"{home}/{name}" if home and name else ""

    def of(self, ask: Ask, row: Row) -> Place | None:
        """Give the place of a row; None for what is of no compared service. Raises LookupError when labels are missing."""
        if ask.split == "pod":
            return self._own(ask, row)
        who = self._whose(row.labels)
        if not who.callee:
            raise LookupError("no callee")
        if ask.split == "revision":
            service = self._workloads.get(who.callee, "")
            if service not in self._services or not self.index.is_split(service):
                return None
            return Place(service=service, view=self._named(who.caller), arm=self.index.revision(service, who.revision))
        if who.callee not in self._services:
            return None
        caller = self.pod(row)
        if not caller or not who.address:
            raise LookupError("no caller or no address")
        view = self.index.pod(caller)[0] or ANOTHER
        if view == who.callee:
            return None
        return Place(service=who.callee, view=view, arm=self.index.address(who.address, who.callee))

    def _own(self, ask: Ask, row: Row) -> Place | None:
        name = self.pod(row) or f"{row.labels.get('namespace', '')}/{row.labels.get('pod', '')}"
        if name.startswith("/") or name.endswith("/"):
            raise LookupError("no pod")
        service, arm = self.index.pod(name)
        if not service and name not in self.index.by_pod:
            service = self._by_name(name)
        found = self._services.get(service)
        if found is None or (found.client_only != (ask.view == "client") and ask.part != "points"):
            return None
        return Place(service=service, view=OWN, arm=arm)

    def _by_name(self, pod: str) -> str:
        """Guess whose pod somebody never saw: by its name, so that its rows are missed and not passed over."""
        return next((name for at, name in self._workloads.items() if pod.startswith(f"{at}-")), "")

    def _named(self, workload: str) -> str:
        return self._workloads.get(workload) or (GATEWAY if workload in self._gateways else workload)


def put(figures: dict[tuple[str, str, str], Figure], ask: Ask, rows: Iterable[Row], places: Places) -> int:
    """Add the rows of one answer; give how many said too little to belong anywhere. Key: service, metric, view.

    Rows in which nothing grew are of nobody's concern unless they belong to an arm.
    """
    lost = 0
    for row in rows:
        grew = any(value is None or value != 0 for value in row.values)
        try:
            place = places.of(ask, row)
        except LookupError:
            lost += grew
            continue
        if place is None:
            continue
        if place.arm not in ARMS:
            if grew:
                figures.setdefault((place.service, ask.metric, place.view), Figure()).strays += 1
            continue
        figure = figures.setdefault((place.service, ask.metric, place.view), Figure())
        figure.pods.add(places.pod(row))
        _add(figure.arm(place.arm), ask, row)
    return lost


def _add(sums: Sums, ask: Ask, row: Row) -> None:
    if ask.part == "points":
        sums.points += row.values
        return
    value = row.values[0] if row.values else None
    if value is not None and value < 0:
        sums.fell += 1
    match ask.part:
        case "codes":
            sums.add("n", value)
            code = next((row.labels[key] for key in CODES if row.labels.get(key)), "")
            sums.add("bad", value if code.startswith("5") else 0.0)
        case "buckets":
            bound = _bound(row.labels.get("le", ""))
            if bound is None:
                sums.resets = None
            else:
                sums.buckets[bound] = plus(sums.buckets.get(bound, 0.0), value)
        case "total":
            sums.add("n", value)
        case "good":
            sums.add("n", value)
        case "bad":
            sums.add("bad", value)
            if ask.metric == "handshake-errors":
                sums.add("n", value)


def _bound(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if found == found else None  # noqa: PLR0124 - NaN is not itself


def sampled(sums: Sums | None, part: str) -> Sampled | None:
    """Give an arm's figure as a look has it; None when no row was of it."""
    if sums is None:
        return None
    resets = None if sums.resets is None else sums.resets + sums.fell
    if part == "points":
        return Points(values=tuple(sums.points))
    if part == "buckets":
        rows = sorted(sums.buckets.items())
        bounds = tuple(bound for bound, _ in rows)
        return Buckets(bounds=bounds, counts=tuple(count for _, count in rows), resets=resets) if rows else None
    if not sums.parts:
        return None
    return Counts(n=sums.parts.get("n"), bad=sums.parts.get("bad"), resets=resets)
