"""Looks from the proxies' own pages through the API server: for clusters without a Prometheus; few pods, and so many bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from meshup.gates.canary.port import Wanted
from meshup.gates.evidence.arms import ARMS, Member, Roll
from meshup.gates.evidence.asking import UNTOLD, split_of
from meshup.gates.evidence.holding import Chosen, chosen
from meshup.gates.evidence.joined import Figure, Places, put
from meshup.gates.evidence.making import Key, Making
from meshup.gates.evidence.pages import Grown, line_of, read
from meshup.gates.evidence.sampling import Sample, sample
from meshup.gates.evidence.since import Since
from meshup.gates.evidence.told import Row
from meshup.gates.finding import MOST_SCRAPED
from meshup.gates.gate import Eyes
from meshup.gates.grouped import naming
from meshup.gates.prometheus import filled
from meshup.gates.sources import PAGES
from meshup.model.runbook import Service
from meshup.model.samples import OWN, Look, Origin
from meshup.model.text import amount

NO_SPLIT = "no page that was read tells a caller's requests apart by the pod that was called"


class Paged:
    """Fills the port from pages. What it remembers is the evidence: counts of pods begin with their first page."""

    def __init__(self, eyes: Eyes, *, control: str, canary: str, every_s: float, known: Iterable[Member] = ()) -> None:
        """control, canary: revisions. every_s: how often looks are taken, which is how often pages are read."""
        self._eyes, self._revisions, self._known, self._every_s = eyes, (control, canary), tuple(known), every_s
        self._families = tuple(each for each in eyes.driver.comparison() if each.on_pages)
        self._roll: Roll | None = None
        self._since = Since(eyes.clock)
        self._grown = Grown(start=0.0)
        self._sample = Sample(members=(), of=0)

    @property
    def told(self) -> str:
        """Say how much of the evidence was read."""
        return f"from {PAGES}, sampled {len(self._sample.members)} of {self._sample.of}"

    @property
    def roll(self) -> Roll | None:
        """The pods seen so far; None before the first look."""
        return self._roll

    def look(self, wanted: Sequence[Wanted], *, began: datetime, before: Look | None) -> Look:
        """Look once; see the port. Raises only when the cluster itself can't be read."""
        eyes = self._eyes
        start = round(began.timestamp(), 3)
        if self._roll is None or self._roll.began != start:
            control, canary = self._revisions
            self._roll = Roll(control=control, canary=canary, began=start, known=self._known)
            self._since, self._grown = Since(eyes.clock), Grown(start=start)
        self._roll.see(eyes)
        names = [each.service for each in wanted]
        self._sample = sample(self._roll.index(), names, kept=self._grown.read_at, most=MOST_SCRAPED)
        services = [each for each in eyes.book.services if each.id in set(names)]
        for page in read(eyes, self._sample.members, self._lines(services)):
            self._grown.see(page)
        now = eyes.clock.now()
        elapsed = self._since.elapsed(now.timestamp() - start, before)
        making = self._made(services, {each.service for each in wanted if each.callers}, start)
        pairs = making.pairs(names, now.timestamp(), skew_s=0.0)
        return Look(at=now, elapsed_s=elapsed, skew_s=0.0, origins=tuple(making.origins), pairs=pairs)

    def _lines(self, services: Sequence[Service]) -> Mapping[str, re.Pattern[str]]:
        """Say which lines of a page are of interest: of thousands of clusters of endpoints those alone that are asked about."""
        clients, found = any(each.client_only for each in services), dict[str, list[str]]()
        for ask in (ask for family in self._families for ask in family.asks if clients or ask.view != "client"):
            for name in ask.names:
                found.setdefault(name, []).append(line_of(filled(self._eyes, ask.where, naming(services))))
        return {name: re.compile("|".join(dict.fromkeys(several))) for name, several in found.items()}

    def _made(self, services: Sequence[Service], called: set[str], start: float) -> Making:
        assert self._roll is not None
        eyes, index, metrics = self._eyes, self._roll.index(), self._eyes.book.metrics
        clients = {each.id for each in services if each.client_only}
        asked = chosen(self._families, self._grown.names, split=split_of(index, services), clients=bool(clients))
        places = Places(
            index,
            services,
            every=eyes.book.services,
            home=metrics.namespace_label,
            pod=metrics.pod_label,
            whose=eyes.driver.whose,
        )
        figures: dict[Key, Figure] = {}
        lost = {each: self._put(figures, each, places, services) for each in asked}
        parts = {ask.metric: ask.part for family in eyes.driver.comparison() for ask in family.asks}
        parts |= {each.ask.metric: each.ask.part for each in asked}
        keys = {(service.id, metric, OWN) for service in services for metric in parts} | set(figures)
        origins = {
            key: self._origin(
                key, figures.get(key, Figure()), sum(lost[each] for each in asked if _of(each, key)), asked
            )
            for key in sorted(keys)
        }
        for name in sorted(called - clients):
            why = self._silent(name, figures, asked)
            if why:
                key = (name, "errors", UNTOLD)
                origins[key] = self._origin(key, Figure(), 0, asked, error=why)
        return Making(
            index=index, cluster=eyes.cluster.uid(), start=start, figures=figures, origin_of=origins, parts=parts
        )

    def _put(self, figures: dict[Key, Figure], asked: Chosen, places: Places, services: Sequence[Service]) -> int:
        """Add what the pages tell of one question; give how many series said too little to belong anywhere."""
        assert self._roll is not None
        roll = self._roll
        ask, by_uid = asked.ask, {each.uid: each for each in roll.members}
        where = filled(self._eyes, ask.where, naming(services))
        fresh = {each.uid for each in self._sample.members if each.uid not in self._grown.failed}
        rows: list[tuple[Row, int]] = []
        for name in ask.names:
            for uid, count in self._grown.of(name, where):
                if uid not in by_uid or (ask.part == "points" and uid not in fresh):
                    continue
                value = count.last if ask.part == "points" else count.grown
                resets = 0 if ask.part == "points" else count.resets
                rows.append((Row(labels={**count.labels, **self._whose(by_uid[uid])}, values=(value,)), resets))
        lost = put(figures, ask, (row for row, _ in rows), places)
        for row, resets in rows:
            if resets:
                _began_anew(figures, asked, row, resets, places)
        return lost

    def _silent(self, service: str, figures: Mapping[Key, Figure], asked: Sequence[Chosen]) -> str:
        """Say whose silence must not pass for no callers: of pages that keep no such counts, were not read, or not chosen."""
        for each in self._sample.members:
            if each.service != service and each.uid in self._grown.failed and each.uid not in self._grown.read_at:
                return f"{each.pod}: {self._grown.failed[each.uid]}"
        left = [each for each in self._sample.without if not each.endswith(f" of {service}")]
        if left:
            return f"no page of {', '.join(left[:3])} is read: at most {MOST_SCRAPED} proxies are"
        seen = any(name == service and metric == "errors" and view != OWN for name, metric, view in figures)
        asks = any((each.ask.metric, each.ask.view) == ("errors", "callers") for each in asked)
        return "" if seen or asks else NO_SPLIT

    def _whose(self, member: Member) -> dict[str, str]:
        """Give the labels that a scrape would have added."""
        home, _, name = member.pod.partition("/")
        metrics = self._eyes.book.metrics
        return {metrics.namespace_label: home, metrics.pod_label: name}

    def _origin(self, key: Key, figure: Figure, lost: int, asked: Sequence[Chosen], *, error: str = "") -> Origin:
        families = dict.fromkeys(each.family for each in asked if _of(each, key))
        source = self._eyes.driver.counters()
        members = list(self._members(key, figure))
        times = [self._grown.read_at.get(each.uid) for each in members]
        known = [each for each in times if each is not None]
        never = next(
            (
                f"{each.pod}: {self._grown.failed.get(each.uid)}"
                for each, at in zip(members, times, strict=True)
                if at is None
            ),
            "",
        )
        arms = [each for each in self._sample.without if each.endswith(f" of {key[0]}")]
        missing = f"no page of {' and '.join(arms)} is read: at most {MOST_SCRAPED} proxies are" if arms else ""
        return Origin(
            source=f"{PAGES} ({', '.join(families)})" if families else PAGES,
            query=f"{source.path} of {amount(len(self._sample.members), 'pod')} of {self._sample.of}, port {source.port}",
            scrape_s=self._every_s,
            newest=min(known) if known and not never else None,
            cluster=self._eyes.cluster.uid(),
            series=tuple(int(arm in figure.arms) for arm in ARMS),  # type: ignore[arg-type]
            unlabelled=figure.strays + lost,
            error=error or missing or never,
        )

    def _members(self, key: Key, figure: Figure) -> Iterator[Member]:
        """Yield the sampled pods whose pages tell a view: both arms' own, or the caller's."""
        service, _, view = key
        for each in self._sample.members:
            if (view == OWN and each.service == service) or (view != OWN and each.pod in figure.pods):
                yield each


def _of(asked: Chosen, key: Key) -> bool:
    return asked.ask.metric == key[1] and (asked.ask.view == "callers") == (key[2] != OWN)


def _began_anew(figures: dict[Key, Figure], asked: Chosen, row: Row, resets: int, places: Places) -> None:
    try:
        place = places.of(asked.ask, row)
    except LookupError:
        return
    figure = figures.get((place.service, asked.ask.metric, place.view)) if place is not None else None
    if place is None or figure is None or place.arm not in figure.arms:
        return
    sums = figure.arms[place.arm]
    sums.resets = None if sums.resets is None else sums.resets + resets
