"""Which proxies' pages are read: a bounded number, some of every revision of every compared service, and of every caller."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from meshup.gates.evidence.arms import ARMS, Index, Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Pods whose pages are read, in order. of: how many there were. without: groups of whom none is among them."""

    members: tuple[Member, ...]
    of: int
    without: tuple[str, ...] = ()


def sample(index: Index, services: Sequence[str], *, kept: Collection[str], most: int) -> Sample:
    """Choose at most so many pods that serve: one of every group in turn, until there are no more.

    Groups: each revision of each service that is compared, in their order, then each caller. kept: UIDs that were read
    before, which go first within their group, as what a page adds to is known of them alone.
    """
    groups = [(f"{arm} of {name}", index.of(name, arm)) for name in services for arm in ARMS]
    groups += [(name, several) for name, several in sorted(index.by_service.items()) if name not in set(services)]  # type: ignore[misc]
    serving = [(name, [each for each in several if _serves(index, each)]) for name, several in groups]
    ordered = [
        (name, sorted(several, key=lambda each: (each.uid not in kept, each.pod)))
        for name, several in serving
        if several
    ]
    every = sum(len(several) for _, several in ordered)
    taken = {name: 0 for name, _ in ordered}
    while sum(taken.values()) < min(most, every):
        for name, several in ordered:
            if taken[name] < len(several) and sum(taken.values()) < most:
                taken[name] += 1
    return Sample(
        members=tuple(each for name, several in ordered for each in several[: taken[name]]),
        of=every,
        without=tuple(name for name, count in taken.items() if not count),
    )


def _serves(index: Index, member: Member) -> bool:
    return member.serves and member.last == index.newest
