"""Proxies' own pages, look after look: what each counter grew since a comparison began, and what each gauge says now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from meshup.cluster.errors import ApiError
from meshup.gates.evidence.arms import Member
from meshup.gates.gate import Eyes
from meshup.model.problem import Refused, Unreachable
from meshup.model.text import clean

MOST_PAGE_BYTES = 4 * 1024 * 1024
MOST_LOOK_BYTES = 64 * 1024 * 1024
"""All pages of one look together. A proxy that knows 400 services, with counts by endpoint, prints about 2 MiB."""
MATCHER = re.compile(r'(\w+)(=~|!=|=)"([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one proxy answered. at: Unix seconds. samples: (name, labels, value). why: why it was not read, "" = it was."""

    member: Member
    at: float
    samples: tuple[tuple[str, Mapping[str, str], float], ...] = ()
    size: int = 0
    why: str = ""


@dataclass(slots=True)
class Count:
    """One series of one proxy. grown: since the comparison began. last: as it was read last. resets: how often it fell."""

    labels: Mapping[str, str]
    grown: float
    last: float
    resets: int = 0


def line_of(where: str) -> str:
    """Write the pattern of a line that may have a series with these matchers; it lets some through that has not."""
    parts = [(label, how, text.replace("\\\\", "\\")) for label, how, text in MATCHER.findall(where)]
    kept = [(label, re.escape(text) if how == "=" else f"(?:{text})") for label, how, text in parts if how != "!="]
    return "".join(f'(?=.*\\b{label}="{text}")' for label, text in kept)


def read(eyes: Eyes, members: Sequence[Member], lines: Mapping[str, re.Pattern[str]]) -> list[Page]:
    """Read the pages of some pods side by side. Raises only Unreachable; what else went wrong is said of each page.

    lines: by metric, which of its lines are of interest.

    Once the bytes of a look are used up, the pages that are left over are not counted in.
    """
    found: list[Page] = []
    left = MOST_LOOK_BYTES
    for page in eyes.cluster.gather([lambda each=each: _read(eyes, each, lines) for each in members]):  # type: ignore[misc]
        left -= page.size
        over = f"the pages of one look have more than {MOST_LOOK_BYTES >> 20} MiB together"
        found.append(page if left >= 0 else Page(member=page.member, at=page.at, why=over))
    return found


def _read(eyes: Eyes, member: Member, lines: Mapping[str, re.Pattern[str]]) -> Page:
    source = eyes.driver.counters()
    namespace, _, name = member.pod.partition("/")
    at = eyes.clock.now().timestamp()
    try:
        answer = eyes.cluster.pod_proxy(namespace, name, port=source.port, path=source.path)
    except Unreachable:
        raise
    except (ApiError, Refused) as error:
        return Page(member=member, at=at, why=clean(error.what, limit=200))
    size = len(answer.body)
    if answer.status != 200:
        return Page(member=member, at=at, size=size, why=f"it answered {answer.status}")
    if size > MOST_PAGE_BYTES:
        return Page(member=member, at=at, size=size, why=f"it has {size} bytes, at most {MOST_PAGE_BYTES} are read")
    try:
        samples = tuple(eyes.driver.read_samples(answer.body.decode("utf-8", "replace"), lines))
    except ValueError as odd:
        return Page(member=member, at=at, size=size, why=clean(odd, limit=200))
    return Page(member=member, at=at, samples=samples, size=size)


class Grown:
    """What was read so far. A pod that began after the comparison counts from zero, any other from its first page on."""

    def __init__(self, *, start: float) -> None:
        """start: Unix seconds at which the comparison began."""
        self._start = start
        self._counts: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], Count]] = {}
        self.read_at: dict[str, float] = {}
        self.failed: dict[str, str] = {}

    @property
    def names(self) -> frozenset[str]:
        """The metrics that any page had."""
        return frozenset(name for name, several in self._counts.items() if several)

    def see(self, page: Page) -> None:
        """Add a page, or remember why there is none."""
        uid = page.member.uid
        if page.why:
            self.failed[uid] = page.why
            return
        self.failed.pop(uid, None)
        from_zero = uid in self.read_at or (page.member.began is not None and page.member.began >= self._start)
        self.read_at[uid] = page.at
        for name, labels, value in page.samples:
            several = self._counts.setdefault(name, {})
            key = (uid, frozenset(labels.items()))
            before = several.get(key)
            if before is None:
                several[key] = Count(labels, value if from_zero else 0.0, value)
            elif value < before.last:
                before.grown, before.last, before.resets = before.grown + value, value, before.resets + 1
            else:
                before.grown, before.last = before.grown + value - before.last, value

    def of(self, name: str, where: str) -> Iterator[tuple[str, Count]]:
        """Yield (UID, count) of the series of a metric whose labels match."""
        tests = [(label, how, re.compile(text.replace("\\\\", "\\"))) for label, how, text in MATCHER.findall(where)]
        for (uid, _), count in self._counts.get(name, {}).items():
            if all(_holds(count.labels.get(label, ""), how, wanted) for label, how, wanted in tests):
                yield uid, count


def _holds(value: str, how: str, wanted: re.Pattern[str]) -> bool:
    """Tell whether a label matches, as PromQL has it: a pattern is of the whole value."""
    if how == "=~":
        return wanted.fullmatch(value) is not None
    return (value == wanted.pattern) is (how == "=")
