"""One release of a report: who has it, who went back from it, why, how often, and whether it may spread."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from meshup.model.cells import Cell, Tallied, alike, place_text, seconds, text_of
from meshup.model.counts import TRUSTS, Counts, counted, distinct
from meshup.model.held import Held, Moved
from meshup.model.holds import HoldAt, critical_away, judge
from meshup.model.ledger import Trust
from meshup.model.moment import stamp
from meshup.model.report import Reason, ReleaseRow, Seen, State, View, Week

WEEKS = 8
WEEK_S = 7 * 86400
REASONS = 10
NOTHING = State("", "")


@dataclass(frozen=True, slots=True)
class Clock:
    """The moments a report is about, as texts and as seconds."""

    now: datetime
    since: datetime | None
    at: HoldAt
    text: str = field(init=False)
    from_s: int = field(init=False)
    window_s: int = field(init=False)

    def __post_init__(self) -> None:
        window = self.now - timedelta(seconds=self.at.window_s)
        object.__setattr__(self, "text", stamp(self.now))
        object.__setattr__(self, "from_s", seconds(stamp(self.since)) if self.since else -(2**62))
        object.__setattr__(self, "window_s", seconds(stamp(window)))

    def is_late(self, held: Held) -> bool:
        """Tell whether a record still holds past its end."""
        return held.is_open and held.until <= self.text


class Releases:
    """One release after the other, out of what was added up once."""

    def __init__(
        self,
        tally: Tallied,
        *,
        seen: Sequence[Seen],
        untracked: Mapping[str, Sequence[Seen]],
        looks: Sequence[View],
        clock: Clock,
        unread: int,
    ) -> None:
        self._tally, self._seen, self._untracked = tally, seen, untracked
        self._looks, self._clock, self._unread = looks, clock, unread
        self._away: dict[str, list[Moved]] = {}
        for each in tally.open:
            if each.is_away:
                self._away.setdefault(each.origin, []).append(each)

    def row(self, release: str) -> ReleaseRow:
        """Say everything of one release."""
        clock, away, gone = self._clock, self._away.get(release, []), self._untracked.get(release, ())
        cells = {trust: self._tally.cells.get((release, trust), EMPTY) for trust in TRUSTS}
        places = [(each.held.trust, place_text(each.held)) for each in away]
        inferred: list[tuple[Trust, str]] = [("inferred", place_of(each)) for each in gone]
        runs = [dict(each.releases) for each in self._seen]
        on = [each for each, has in zip(self._seen, runs, strict=True) if release in has and len(has) == 1]
        partly = [each for each, has in zip(self._seen, runs, strict=True) if release in has and len(has) > 1]
        late = [each for each in away if clock.is_late(each.held)]
        state = next((each for view in self._looks for each in view.states if each.release == release), NOTHING)

        def users(moment: int) -> Counts:
            return distinct([*((each.held.trust, each.held.who) for each in away), *_names(cells, "who", moment)])

        def services(moment: int) -> Counts:
            return distinct([*places, *inferred, *_names(cells, "places", moment)])

        reached = {place_of(each) for each in (*on, *partly, *gone)} | {name for _, name in places}
        reached |= {name for _, name in _names(cells, "places", clock.window_s)}
        return ReleaseRow(
            release=release,
            state=state,
            installed=tuple(
                sorted({revision for view in self._looks for revision, of in view.revisions if of == release})
            ),
            on=len(on),
            partly=len(partly),
            owners=len({each.owner for each in (*on, *partly) if each.owner}),
            users_ever=users(clock.from_s),
            users_active=distinct((each.held.trust, each.held.who) for each in away),
            services_ever=services(clock.from_s),
            services_active=distinct([*places, *inferred]),
            temporary=counted(each.held.trust for each in away if not clock.is_late(each.held)),
            overdue=counted(each.held.trust for each in late),
            renewed=_plus(
                counted(each.held.trust for each in away if each.renews),
                Counts(*(_since(cells[trust].renewed, clock.from_s) for trust in TRUSTS)),
            ),
            failed=Counts(*(_since(cells[trust].failed, clock.from_s) for trust in TRUSTS)),
            untracked=len(gone),
            reasons=_reasons(cells, away, clock),
            trend=_trend(cells, away, clock),
            verdict=judge(
                release,
                users=users(clock.window_s),
                services=services(clock.window_s),
                reached=len(reached) if any(view.looked for view in self._looks) else None,
                at=clock.at,
                critical=critical_away((each.held for each in away), at=clock.at, state=state.state),
                unread=self._unread,
                blocked=(state.note or "by the platform owner") if state.state == "blocked" else "",
            ),
        )


EMPTY = Cell()


def _names(cells: Mapping[Trust, Cell], which: str, moment: int) -> list[tuple[Trust, str]]:
    return [
        (trust, name)
        for trust, cell in cells.items()
        for name, last in (cell.who if which == "who" else cell.places).items()
        if last >= moment
    ]


def _since(times: Sequence[int], moment: int) -> int:
    return len(times) - bisect_left(times, moment)


def _plus(*several: Counts) -> Counts:
    return Counts(*(sum(column) for column in zip(*several, strict=True)))


def _reasons(cells: Mapping[Trust, Cell], away: Sequence[Moved], clock: Clock) -> tuple[Reason, ...]:
    """Group reasons that read alike, most given first; in effect or begun since the report's `since`."""
    counts: dict[str, Counter[Trust]] = {}
    first: dict[str, tuple[str, str]] = {}
    for trust, cell in cells.items():
        for key, given in cell.reasons.items():
            count = given.since(clock.from_s)
            if count:
                counts.setdefault(key, Counter())[trust] += count
                first[key] = min(first.get(key, (given.first, given.text)), (given.first, given.text))
    for each in away:
        if each.renews:
            continue
        key, said = alike(each.held.reason), (each.held.since, each.held.reason)
        counts.setdefault(key, Counter())[each.held.trust] += 1
        first[key] = min(first.get(key, said), said)
    grouped = [Reason(first[key][1], Counts(*(found[trust] for trust in TRUSTS))) for key, found in counts.items()]
    return tuple(sorted(grouped, key=lambda each: (*(-one for one in each.counts), each.text))[:REASONS])


def _trend(cells: Mapping[Trust, Cell], away: Sequence[Moved], clock: Clock) -> tuple[Week, ...]:
    """Count rollbacks begun in each of the last weeks, oldest first; the last one ends now."""
    end = seconds(clock.text) + 1
    edges = [end - WEEK_S * back for back in range(WEEKS, -1, -1)]
    begun: list[tuple[int, Trust]] = [(seconds(each.held.since), each.held.trust) for each in away if not each.renews]
    weeks = []
    for start, stop in itertools.pairwise(edges):
        over = Counts(*(cells[trust].since(start) - cells[trust].since(stop) for trust in TRUSTS))
        weeks.append(Week(text_of(start), _plus(over, counted(trust for at, trust in begun if start <= at < stop))))
    return tuple(weeks)


def place_of(each: Seen) -> str:
    """Name a service among clusters, as cells do."""
    return f"{each.cluster} {each.namespace}/{each.service}"
