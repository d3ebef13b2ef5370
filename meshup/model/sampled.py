"""Looks to plain JSON and back, exactly: rows without names, floats as they are, what JSON has no number for as words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from meshup.model.samples import Buckets, Counts, Look, Number, Origin, Pair, Pod, Points, Sample, Sampled

T = TypeVar("T")
FORM = 1
ODD: Mapping[str, float] = {"NaN": float("nan"), "+Inf": float("inf"), "-Inf": float("-inf")}


def written(look: Look) -> dict[str, Any]:
    """Give a look as JSON values; `read` gives back an equal one, NaN and infinities included.

    Shape: {"form": 1, "at", "elapsed", "skew", "whole", "origins": [row], "pairs": [[service, [pod], [pod], [sample]]]};
    a row holds the fields of its class in their order, a sample's arms as ["c", n, bad, resets], ["b", bounds, counts,
    resets] or ["p", values].
    """
    return {
        "form": FORM,
        "at": look.at.isoformat(),
        "elapsed": _out(look.elapsed_s),
        "skew": _out(look.skew_s),
        "whole": look.whole,
        "origins": [
            [
                each.source,
                each.query,
                _out(each.scrape_s),
                _out(each.newest),
                each.cluster,
                list(each.series),
                each.unlabelled,
                list(each.warnings),
                each.error,
            ]
            for each in look.origins
        ],
        "pairs": [
            [
                pair.service,
                [[pod.name, pod.revision, _out(pod.age_s)] for pod in pair.control],
                [[pod.name, pod.revision, _out(pod.age_s)] for pod in pair.canary],
                [
                    [each.metric, each.view, _arm(each.control), _arm(each.canary), each.origin, each.synthetic]
                    for each in pair.samples
                ],
            ]
            for pair in look.pairs
        ],
    }


def read(raw: Any) -> Look:
    """Build a look from its JSON values. Raises ValueError for anything that `written` does not give."""
    try:
        if raw["form"] != FORM:
            raise ValueError(f"form {raw['form']!r} of samples is not known")
        return Look(
            at=datetime.fromisoformat(_word(raw["at"])),
            elapsed_s=_real(raw["elapsed"]),
            skew_s=_in(raw["skew"]),
            whole=_true(raw["whole"]),
            origins=tuple(_origin(each) for each in _list(raw["origins"])),
            pairs=tuple(_pair(each) for each in _list(raw["pairs"])),
        )
    except (TypeError, KeyError, IndexError, AttributeError) as odd:
        raise ValueError(f"these are no samples: {type(odd).__name__}: {odd}") from odd


def _out(number: Number) -> float | str | None:
    if number is None or number - number == 0:
        return number
    return "NaN" if number != number else "+Inf" if number > 0 else "-Inf"  # noqa: PLR0124 - NaN is not itself


def _in(raw: Any) -> Number:
    if raw is None or (isinstance(raw, int | float) and not isinstance(raw, bool)):
        return raw
    if isinstance(raw, str) and raw in ODD:
        return ODD[raw]
    raise ValueError(f"{raw!r} is no number")


def _real(raw: Any) -> float:
    found = _in(raw)
    if found is None:
        raise ValueError("a number is missing")
    return found


def _word(raw: Any) -> str:
    return _of(str, raw)


def _true(raw: Any) -> bool:
    return _of(bool, raw)


def _count(raw: Any) -> int:
    if isinstance(raw, bool):
        raise ValueError(f"{raw!r} is no count")
    return _of(int, raw)


def _list(raw: Any) -> list[Any]:
    return _of(list, raw)


def _of(kind: type[T], raw: Any) -> T:
    if not isinstance(raw, kind):
        raise ValueError(f"{raw!r} is no {kind.__name__}")
    return raw


def _each(of: Callable[[Any], T], raw: Any) -> tuple[T, ...]:
    return tuple(of(each) for each in _list(raw))


def _arm(arm: Sampled | None) -> list[Any] | None:
    match arm:
        case None:
            return None
        case Counts():
            return ["c", _out(arm.n), _out(arm.bad), arm.resets]
        case Buckets():
            return ["b", [_out(each) for each in arm.bounds], [_out(each) for each in arm.counts], arm.resets]
        case Points():
            return ["p", [_out(each) for each in arm.values]]


def _sampled(raw: Any) -> Sampled | None:
    if raw is None:
        return None
    kind, *rest = _list(raw)
    if kind == "c":
        n, bad, resets = rest
        return Counts(n=_in(n), bad=_in(bad), resets=None if resets is None else _count(resets))
    if kind == "b":
        bounds, counts, resets = rest
        return Buckets(
            bounds=_each(_in, bounds), counts=_each(_in, counts), resets=None if resets is None else _count(resets)
        )
    if kind == "p":
        (values,) = rest
        return Points(values=_each(_in, values))
    raise ValueError(f"{kind!r} is no kind of sample")


def _origin(raw: Any) -> Origin:
    source, query, scrape, newest, cluster, series, unlabelled, warnings, error = _list(raw)
    control, canary = _each(_count, series)
    return Origin(
        source=_word(source),
        query=_word(query),
        scrape_s=_real(scrape),
        newest=_in(newest),
        cluster=_word(cluster),
        series=(control, canary),
        unlabelled=_count(unlabelled),
        warnings=_each(_word, warnings),
        error=_word(error),
    )


def _pair(raw: Any) -> Pair:
    service, control, canary, samples = _list(raw)
    return Pair(
        service=_word(service),
        control=_each(_pod, control),
        canary=_each(_pod, canary),
        samples=_each(_sample, samples),
    )


def _pod(raw: Any) -> Pod:
    name, revision, age = _list(raw)
    return Pod(name=_word(name), revision=_word(revision), age_s=_in(age))


def _sample(raw: Any) -> Sample:
    metric, view, control, canary, origin, synthetic = _list(raw)
    return Sample(
        metric=_word(metric),
        view=_word(view),
        control=_sampled(control),
        canary=_sampled(canary),
        origin=_count(origin),
        synthetic=_true(synthetic),
    )
