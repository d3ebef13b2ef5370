"""One round of queries for one look: what is asked, whose rows are whose, and how far each figure can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from meshup.gates.evidence.arms import ARMS, Index, Member, Roll
from meshup.gates.evidence.holding import Chosen, Held, Split, chosen
from meshup.gates.evidence.joined import Figure, Places, Sums, put
from meshup.gates.evidence.making import Key, Making
from meshup.gates.evidence.told import Told, instant, ranged
from meshup.gates.gate import Eyes
from meshup.gates.grouped import YOUNG_S, any_of, naming
from meshup.gates.prometheus import filled
from meshup.meshes.asks import Ask
from meshup.model.runbook import Service
from meshup.model.samples import OWN, Origin

UNTOLD = "callers that can't be told"
"""The view of a service whose callers could not be asked: it has no figure, and says why."""
NO_SPLIT = "the server holds no metric that tells a caller's requests apart by the revision that was called"
LEAST_RATE_S = 60.0
SCRAPES_TO_COME = 2
"""A pod is missed once it was there for so many scrapes."""


class Asking:
    """Asks everything of one look. The number of queries follows from the metrics and never from the services."""

    def __init__(
        self,
        eyes: Eyes,
        held: Held,
        services: Sequence[Service],
        roll: Roll,
        *,
        start: float,
        at: float,
        since: float | None,
    ) -> None:
        """start, at: Unix seconds between which counts grew. since: up to where gauge points are known, None = start."""
        self._eyes, self._held, self._services = eyes, held, services
        self._start, self._at, self._cluster = start, at, eyes.cluster.uid()
        self._index = roll.index()
        split = split_of(self._index, services)
        self._clients = {each.id for each in services if each.client_only}
        self.asked = chosen(eyes.driver.comparison(), held.names, split=split, clients=bool(self._clients))
        self._scrape_s = held.scrape_s or 0.0
        self._asked_first = eyes.clock.now().timestamp()
        self._told = self._send(max(start, since if since is not None else start))
        self._newest, self.skew_s = self._clocks()
        metrics = eyes.book.metrics
        self._places = Places(
            self._index,
            services,
            every=eyes.book.services,
            home=metrics.namespace_label,
            pod=metrics.pod_label,
            whose=eyes.driver.whose,
        )
        self._before = self._by_pod("before")
        self._restarts = self._by_pod("restarts")
        self._lost: dict[Ask, int] = {}

    def _send(self, since: float) -> Mapping[str, Told]:
        """Give query template -> answer; a template that several asks share is asked once."""
        eyes, scraping = self._eyes, self._eyes.driver.scraping()
        words = self._words()
        calls: dict[str, Callable[[], Told]] = {
            "newest": partial(instant, eyes, filled(eyes, scraping["newest"], words), at=None)
        }
        for name in ("before", "restarts"):
            calls[name] = partial(instant, eyes, filled(eyes, scraping[name], words), at=self._at)
        for each in self.asked:
            query = filled(eyes, each.ask.query, words)
            if each.ask.part == "points":
                step = self._scrape_s or LEAST_RATE_S
                if since + step <= self._at:
                    calls[each.ask.query] = partial(ranged, eyes, query, start=since + step, end=self._at, step=step)
                continue
            calls[each.ask.query] = partial(instant, eyes, query, at=self._at)
            if each.ask.resets:
                calls[each.ask.resets] = partial(instant, eyes, filled(eyes, each.ask.resets, words), at=self._at)
        return dict(zip(calls, eyes.cluster.gather(list(calls.values())), strict=True))

    def _words(self) -> Mapping[str, str]:
        homes = {each.namespace for each in self._eyes.book.services}
        if self._eyes.book.ingress is not None:
            homes.add(self._eyes.book.ingress.namespace)
        return {
            "homes": any_of(homes),
            **naming(self._services),
            "window": f"{max(1, round((self._at - self._start) * 1000))}ms",
            "rate": f"{int(max(LEAST_RATE_S, 4 * self._scrape_s))}s",
        }

    def _clocks(self) -> tuple[Mapping[str, float | None], float | None]:
        """Give pod -> Unix time of its newest sample, and by how much the server's clock is ahead of this one."""
        found: dict[str, float | None] = {}
        skew = None
        for row in self._told["newest"].rows:
            if not row.labels:
                skew = None if row.values[0] is None else row.values[0] - self._asked_first
            else:
                found[self._name(row.labels)] = row.values[0]
        return found, skew

    def _name(self, labels: Mapping[str, str]) -> str:
        metrics = self._eyes.book.metrics
        return f"{labels.get(metrics.namespace_label, '')}/{labels.get(metrics.pod_label, '')}"

    def _by_pod(self, name: str) -> Mapping[str, float | None] | None:
        told = self._told[name]
        if told.error or told.warnings:
            return None
        return {self._name(row.labels): row.values[0] for row in told.rows}

    def made(self, called: Collection[str]) -> Making:
        """Give everything that samples are made of. called: ids of services that somebody of the runbook may call."""
        figures: dict[Key, Figure] = {}
        for each in self.asked:
            told = self._told.get(each.ask.query)
            if told is not None:
                self._lost[each.ask] = put(figures, each.ask, told.rows, self._places)
        self._count_resets(figures)
        parts = {each.ask.metric: each.ask.part for each in self.asked}
        origins: dict[Key, Origin] = {}
        every = {ask.metric: ask.part for family in self._eyes.driver.comparison() for ask in family.asks}
        keys = {(service.id, metric, OWN) for service in self._services for metric in every}
        for key in sorted(keys | set(figures)):
            origins[key] = self._origin(key, figures.get(key, Figure()))
        seen = {service for service, metric, view in figures if metric == "errors" and view != OWN}
        for service in self._services:
            if "errors" in every and (service.id in called or self._failed("errors")):
                self._owe(service, seen, origins)
        return Making(
            index=self._index,
            cluster=self._cluster,
            start=self._start,
            figures=figures,
            origin_of=origins,
            parts={**every, **parts},
        )

    def _failed(self, metric: str) -> str:
        """Say why the callers' view of a metric was not told, "" when it was asked and answered."""
        asked = [each.ask for each in self.asked if (each.ask.metric, each.ask.view) == (metric, "callers")]
        return next((error for each in asked if (error := self._told[each.query].error)), "")

    def _owe(self, service: Service, called: Collection[str], origins: dict[Key, Origin]) -> None:
        """Add a view without figures where callers could not be asked: their silence must not pass for no callers."""
        asked = any((each.ask.metric, each.ask.view) == ("errors", "callers") for each in self.asked)
        failed = self._failed("errors") or self._held.error
        if service.id in called or service.client_only or (asked and not failed):
            return
        key = (service.id, "errors", UNTOLD)
        origins[key] = self._origin(key, Figure(), error=failed or NO_SPLIT)

    def _origin(self, key: Key, figure: Figure, *, error: str = "") -> Origin:
        service, metric, view = key
        asked = [
            each for each in self.asked if each.ask.metric == metric and (each.ask.view == "callers") != (view == OWN)
        ]
        if service in self._clients and any(each.ask.view == "client" for each in asked):
            asked = [each for each in asked if each.ask.view == "client"]
        elif view == OWN:
            asked = [each for each in asked if each.ask.view == "own"]
        told = [self._told[each.ask.query] for each in asked if each.ask.query in self._told]
        told += [self._told[each.ask.resets] for each in asked if each.ask.resets]
        every = [*told, self._told["newest"]]
        families = dict.fromkeys(each.family for each in asked)
        where = f"Prometheus {self._eyes.book.metrics.service}"
        return Origin(
            source=f"{where} ({', '.join(families)})" if families else where,
            query="; ".join(dict.fromkeys(each.query for each in told if each.query)) or self._told["newest"].query,
            scrape_s=self._scrape_s,
            newest=self._freshness(service, view, figure),
            cluster=self._cluster,
            series=tuple(int(arm in figure.arms) for arm in ARMS),  # type: ignore[arg-type]
            unlabelled=figure.strays + sum(self._lost.get(each.ask, 0) for each in asked),
            warnings=tuple(dict.fromkeys(word for each in every for word in each.warnings)) + self._held.warnings,
            error=error or self._held.error or next((each.error for each in every if each.error), ""),
        )

    def _members(self, service: str, view: str, figure: Figure) -> list[Member]:
        """Give the pods whose proxies tell a view: both arms' own, or the caller's."""
        if view == OWN:
            return [each for each in self._index.by_service.get(service, ()) if each.arm]
        named = [each for pod in sorted(figure.pods - {""}) for each in self._index.by_pod.get(pod, ())]
        return named or self._index.by_service.get(view, [])

    def _freshness(self, service: str, view: str, figure: Figure) -> float | None:
        """Give the newest sample of the pod that is furthest behind; None when one has none, or nobody is known.

        A pod that only just began is not waited for. Of pods that are all over, nothing newer can come.
        """
        members = self._members(service, view, figure)
        if members and not any(each.serves for each in members) and view != OWN:
            return self._at if self.skew_s is None else self._at + self.skew_s
        found: list[float | None] = []
        for each in members:
            if not each.serves:
                continue
            sampled = self._newest.get(each.pod)
            if sampled is None and self._is_young(each):
                continue
            found.append(sampled)
        if not members:
            found = [
                sampled for pod, sampled in self._newest.items() if pod in figure.pods or pod.startswith(f"{view}-")
            ]
        known = [each for each in found if each is not None and each - each == 0]
        return min(known) if known and len(known) == len(found) else None

    def _is_young(self, member: Member) -> bool:
        return member.began is not None and self._at - member.began < SCRAPES_TO_COME * (self._scrape_s or LEAST_RATE_S)

    def _count_resets(self, figures: dict[Key, Figure]) -> None:
        """Say of every arm how many of its counters began anew since the start, None where that can't be told."""
        by_pod = {each.ask.metric for each in self.asked if each.ask.split == "pod" and each.ask.part != "points"}
        for (service, metric, view), figure in figures.items():
            for arm, sums in figure.arms.items():
                if view == OWN and metric in by_pod:
                    _reset(sums, self._began_anew(self._index.of(service, arm)))
                elif view != OWN:
                    _reset(sums, self._known_before(self._members(service, view, figure)))
        done: set[tuple[str, str]] = set()
        for each in self.asked:
            key = (each.ask.metric, each.ask.resets)
            if each.ask.resets and key not in done:
                done.add(key)
                self._placed_resets(figures, each)

    def _placed_resets(self, figures: dict[Key, Figure], asked: Chosen) -> None:
        told = self._told[asked.ask.resets]
        if told.error or told.warnings:
            for (_, metric, view), figure in figures.items():
                if view != OWN and metric == asked.ask.metric:
                    for sums in figure.arms.values():
                        sums.resets = None
            return
        for row in told.rows:
            try:
                place = self._places.of(asked.ask, row)
            except LookupError:
                continue
            found = figures.get((place.service, asked.ask.metric, place.view)) if place is not None else None
            if place is not None and found is not None and place.arm in found.arms:
                value = row.values[0]
                _reset(found.arms[place.arm], None if value is None or value - value != 0 else int(value))

    def _began_anew(self, members: Sequence[Member]) -> int | None:
        known = self._known_before(members)
        if known is None or self._restarts is None:
            return None
        count = 0
        for each in members:
            value = self._restarts.get(each.pod)
            if value is None and each.serves and not self._is_young(each):
                return None
            if value is not None and value - value != 0:
                return None
            count += int(value or 0)
        return count

    def _known_before(self, members: Sequence[Member]) -> int | None:
        """Give 0, or None when a pod was there at the start and has no sample of then: its whole life would count."""
        if self._before is None:
            return None
        for each in members:
            if each.began is None or (each.began < self._start - YOUNG_S and each.pod not in self._before):
                return None
        return 0


def split_of(index: Index, services: Sequence[Service]) -> Split:
    """Tell for how many of the compared services the mesh's metrics can tell the arms apart."""
    found = [index.is_split(each.id) for each in services]
    return "all" if found and all(found) else "some" if any(found) else "none"


def _reset(sums: Sums, more: int | None) -> None:
    sums.resets = None if sums.resets is None or more is None else sums.resets + more
