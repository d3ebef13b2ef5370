"""Verdicts of a run, made again from the evidence that its journal keeps."""

from __future__ import annotations

from dataclasses import dataclass

from meshup.model.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """One verdict made again. now: None when it can't be, and then `why` says so. readings: how many it was made from.

    tried: terms were changed, so that only the answers are compared, as texts name the bounds.
    """

    at: str
    place: str
    gate: str
    kind: str
    was: Verdict
    now: Verdict | None
    readings: int
    why: str = ""
    tried: bool = False

    @property
    def same(self) -> bool:
        """Tell whether it came out as it was: the whole verdict, and with other terms its answer."""
        if self.now is None:
            return True
        return self.now.answer is self.was.answer if self.tried else self.now == self.was


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """All verdicts of a run in the order of its journal. terms: what was tried, as "KIND.TERM=VALUE"."""

    run: str
    plan: str
    verdicts: tuple[Again, ...]
    terms: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Tell whether all came out as they were."""
        return all(each.same for each in self.verdicts)
