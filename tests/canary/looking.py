"""Looks at two arms, written shortly: what is not said is sound, and enough to pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from meshup.model.canary import USUAL, Comparing
from meshup.model.samples import Buckets, Counts, Look, Origin, Pair, Pod, Points, Sample

BEGAN = datetime(2026, 11, 2, 10, tzinfo=UTC)
CLUSTER, OLD, NEW = "uid-1", "1-30", "1-31"
ASKED = {each.metric: each for each in USUAL}
BOUNDS = (5.0, 25.0, 100.0, 500.0, None)
SPREAD = (0.3, 0.4, 0.25, 0.049, 0.001)


def terms(*metrics, **changed):
    """Settings of one service; metrics: which are asked, none = all."""
    asked = tuple(ASKED[each] for each in metrics) or USUAL
    usual = {"cluster": CLUSTER, "control": OLD, "canary": NEW, "services": 1, "wave": ("shop/cart",), "asked": asked}
    return Comparing(**{**usual, **changed})


def arm(metric, number, *, n=4000, share=0.0, look=60.0, level=1.0):
    """What one arm counted until a look; points are those of the look. n, share: per look."""
    if metric in ("cpu", "memory"):
        return Points(values=tuple(level * (1 + 0.01 * ((each * 7 + number * 3) % 11)) for each in range(int(n))))
    if metric == "latency":
        return Buckets(bounds=BOUNDS, counts=tuple(each * n * number for each in accumulate(SPREAD)))
    return Counts(n=float(n * number), bad=float(round(n * number * share)))


def origin(at, **changed):
    found = Origin(
        source="Prometheus monitoring/prometheus:9090", query="q", scrape_s=15.0, newest=at - 5.0, cluster=CLUSTER
    )
    return replace(found, **changed)


def pods(word, revision, count=3, age=60.0):
    return tuple(Pod(name=f"shop/{word}-{each}", revision=revision, age_s=age) for each in range(count))


def look(number, samples, *, services=("shop/cart",), every=60.0, **changed):
    """One look; samples: of each service."""
    at = BEGAN + timedelta(seconds=every * number)
    pairs = tuple(
        Pair(service=each, control=pods("old", OLD), canary=pods("new", NEW), samples=tuple(samples))
        for each in services
    )
    found = Look(at=at, elapsed_s=every * number, skew_s=0.2, origins=(origin(at.timestamp()),), pairs=pairs)
    return replace(found, **changed)


def sample(metric, control, canary, view="", **changed):
    return Sample(metric=metric, view=view, control=control, canary=canary, origin=0, **changed)


def series(metric, *, looks=4, n=4000, share=0.0, canary=None, view="", level=1.0, heavier=1.0, every=60.0):
    """Looks of one metric. share: what fails in both arms, or in the control where the canary has a share of its own."""
    worse = share if canary is None else canary
    return tuple(
        look(
            number,
            [
                sample(
                    metric,
                    arm(metric, number, n=n, share=share, level=level),
                    arm(metric, number, n=n, share=worse, level=level * heavier),
                    view,
                )
            ],
            every=every,
        )
        for number in range(1, looks + 1)
    )
