"""The port that a source of samples fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from meshup.model.samples import Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One service to be looked at.

    control, canary: the pods of each arm as the cluster has them now, (namespace/name, IP). callers: ids of services that
    may call it, as far as is known.
    """

    service: str
    control: tuple[tuple[str, str], ...]
    canary: tuple[tuple[str, str], ...]
    callers: tuple[str, ...] = ()


class Samples(Protocol):
    """Gives looks. The judge trusts nothing that a look does not say, so a source says what it does not know.

    What it must fill, and what unknown becomes of a judgement otherwise:

    - both arms of a service from the same scrapes, at one moment, and `at`, `elapsed_s`, `skew_s`, `whole` of the look;
    - `Pair.control`, `.canary`: the pods that serve now, each with the revision that its running proxy states and its age;
    - one `Sample` per metric of METRICS and view: view "" = the service's own proxies, else the caller's id, split by the
      pod that was called (per-endpoint counters joined with pod addresses, or `canonical-revision`);
    - counts and buckets grown since the comparison began (`began`), as sums of per-pod growth, so that a pod that comes or
      goes makes no jump; never as rates. A pod whose counters began anew is counted in `resets`; None where that can't be
      told. Gauge points are those new since the look before, each pod's own, unaveraged; so
      looks come no more often than scrapes, as a look without new points is one without evidence;
    - `restarts`: n = seconds that the arm's pods were there since it began, bad = restarts of proxy containers since then;
    - errors: n = requests, bad = 5xx and what never reached a pod. connection-failures: n = connections tried.
      handshake-errors: n = handshakes tried;
    - None, NaN and infinity as they came; no zero for what was not there. No series: `series` 0. Rows that miss a label
      it needs: `unlabelled`. Warnings and errors of the server in their own words. One `Origin` per query, whatever the
      number of services: one grouped query per metric (PERFORMANCE section 3);
    - the list of looks is kept whole, oldest first: readings carry `written(look)` in their data, and the judge is given
      all of them from `began` on.

    It never raises for what it could not read: it says so in the look.
    """

    def look(self, wanted: Sequence[Wanted], *, began: datetime, before: Look | None) -> Look:
        """Look once. began: when both arms served for the first time. before: the look before this one, None = the first."""
        ...
