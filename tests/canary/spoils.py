"""Ways in which evidence is none: each takes looks that pass and gives looks that must not.

A spoil strikes one of the newest looks, as many as must be clean in a row; what it does there is drawn.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from looking import pods

from meshup.model.samples import Buckets, Counts, Points, Sample

NAN, INF = float("nan"), float("inf")


def _at(chance, looks, terms):
    """Choose a look among the newest; its place."""
    return len(looks) - 1 - chance.randrange(terms.in_a_row)


def _put(looks, at, look):
    return (*looks[:at], look, *looks[at + 1 :])


def _of_look(change):
    def spoil(chance, looks, terms):
        at = _at(chance, looks, terms)
        return _put(looks, at, change(chance, looks[at]))

    return spoil


def _of_origin(change):
    return _of_look(
        lambda chance, look: replace(look, origins=tuple(change(chance, each, look) for each in look.origins))
    )


def _of_pair(change):
    return _of_look(lambda chance, look: replace(look, pairs=tuple(change(chance, each) for each in look.pairs)))


def _of_sample(change):
    return _of_pair(
        lambda chance, pair: replace(pair, samples=tuple(change(chance, each) for each in pair.samples)),
    )


def _of_arm(change, *, canary=None):
    """Strike one arm, drawn unless said."""

    def struck(chance, sample):
        name = "canary" if (chance.random() < 0.5 if canary is None else canary) else "control"
        return replace(sample, **{name: change(chance, getattr(sample, name))})

    return _of_sample(struck)


def _number(value):
    def change(chance, arm):
        odd = value(chance) if callable(value) else value
        match arm:
            case Counts():
                return replace(arm, **{chance.choice(("n", "bad")): odd})
            case Buckets():
                at = chance.randrange(len(arm.counts))
                return replace(arm, counts=(*arm.counts[:at], odd, *arm.counts[at + 1 :]))
            case _:
                at = chance.randrange(len(arm.values))
                return replace(arm, values=(*arm.values[:at], odd, *arm.values[at + 1 :]))

    return _of_arm(change)


def _resets(value):
    """Gauges know no resets: theirs lose their points instead."""
    return _of_arm(lambda chance, arm: None if isinstance(arm, Points) else replace(arm, resets=value(chance)))


def _went_back(chance, looks, terms):
    """The newest counters are less than those before: they began anew and nobody said so."""
    last, before = looks[-1], looks[-2]

    def less(old, arm):
        match arm:
            case Counts():
                return replace(arm, n=max(0.0, old.n - 1 - chance.random()), bad=0.0)
            case Buckets():
                return replace(arm, counts=tuple(each * 0.5 for each in old.counts))
            case _:
                return Points(values=(NAN,))

    pairs = []
    for pair, was in zip(last.pairs, before.pairs, strict=True):
        name = chance.choice(("canary", "control"))
        samples = tuple(
            replace(each, **{name: less(getattr(old, name), getattr(each, name))})
            for each, old in zip(pair.samples, was.samples, strict=True)
        )
        pairs.append(replace(pair, samples=samples))
    return _put(looks, len(looks) - 1, replace(last, pairs=tuple(pairs)))


def _other_kind(chance, arm):
    every = [
        Counts(n=5000.0, bad=0.0),
        Points(values=(1.0,) * 400),
        Buckets(bounds=(1.0, None), counts=(5000.0, 5000.0)),
    ]
    return chance.choice([each for each in every if type(each) is not type(arm)])


def _wrong_pod(chance, pair):
    name = chance.choice(("canary", "control"))
    every = list(getattr(pair, name))
    at = chance.randrange(len(every))
    every[at] = replace(every[at], revision=chance.choice(("", "1-29", "1-3", "1-30 ", "1-31x")))
    return replace(pair, **{name: tuple(every)})


def _odd_age(chance, pair):
    name = chance.choice(("canary", "control"))
    every = list(getattr(pair, name))
    every[0] = replace(every[0], age_s=chance.choice((None, NAN, INF, -1.0)))
    return replace(pair, **{name: tuple(every)})


def _impossible(chance, arm):
    match arm:
        case Counts():
            return replace(arm, bad=-1.0 if arm.n > 1e5 or chance.random() < 0.3 else NAN)
        case Buckets():
            return replace(arm, counts=tuple(reversed(arm.counts)))
        case _:
            return Points(values=())


def _stood_still(chance, looks, terms):
    at = max(1, _at(chance, looks, terms))
    return _put(looks, at, replace(looks[at], elapsed_s=looks[at - 1].elapsed_s - chance.choice((0.0, 1.0, 1e4))))


def _scaled(chance, looks, terms):
    """Sound evidence, but too little of it: a hundredth, or none at all."""
    by = chance.choice((0.0, 0.001, 0.01))

    def less(arm):
        match arm:
            case Counts():
                return replace(arm, n=arm.n * by, bad=0.0)
            case Buckets():
                return replace(arm, counts=tuple(each * by for each in arm.counts))
            case _:
                return Points(values=arm.values[: int(len(arm.values) * by)])

    def small(sample: Sample):
        return replace(sample, control=less(sample.control), canary=less(sample.canary))

    return tuple(
        replace(
            each,
            pairs=tuple(replace(pair, samples=tuple(small(one) for one in pair.samples)) for pair in each.pairs),
        )
        for each in looks
    )


SPOILS = {
    "NaN": _number(NAN),
    "Inf": _number(lambda chance: chance.choice((INF, -INF))),
    "null": _number(None),
    "negative": _number(lambda chance: -chance.choice((1e-9, 1.0, 1e12))),
    "empty": _of_pair(lambda chance, pair: replace(pair, samples=())),
    "no series": _of_origin(lambda chance, each, look: replace(each, series=chance.choice(((0, 1), (1, 0), (0, 0))))),
    "several series": _of_origin(
        lambda chance, each, look: replace(each, series=chance.choice(((2, 1), (1, 7), (3, 3))))
    ),
    "one figure twice": _of_pair(lambda chance, pair: replace(pair, samples=(*pair.samples, *pair.samples))),
    "wrong revision": _of_pair(_wrong_pod),
    "arms swapped": _of_pair(lambda chance, pair: replace(pair, control=pair.canary, canary=pair.control)),
    "wrong cluster": _of_origin(
        lambda chance, each, look: replace(each, cluster=chance.choice(("", "uid-2", "uid-11")))
    ),
    "partial labels": _of_origin(lambda chance, each, look: replace(each, unlabelled=chance.randint(1, 9))),
    "counter reset": _resets(lambda chance: chance.randint(1, 3)),
    "resets not known": _resets(lambda chance: None),
    "counter went back": _went_back,
    "stale": _of_origin(
        lambda chance, each, look: replace(each, newest=each.newest - chance.choice((26.0, 31.0, 600.0, 1e7)))
    ),
    "no time": _of_origin(lambda chance, each, look: replace(each, newest=chance.choice((None, NAN, INF)))),
    "from the future": _of_origin(
        lambda chance, each, look: replace(each, newest=each.newest + chance.uniform(36, 1e6))
    ),
    "window too short": _of_origin(
        lambda chance, each, look: replace(each, scrape_s=look.elapsed_s / 4 + chance.uniform(0.1, 900))
    ),
    "scrape interval odd": _of_origin(
        lambda chance, each, look: replace(each, scrape_s=chance.choice((0.0, -15.0, NAN, INF)))
    ),
    "too few samples or none": _scaled,
    "warnings": _of_origin(lambda chance, each, look: replace(each, warnings=("a store did not answer",))),
    "query error": _of_origin(
        lambda chance, each, look: replace(
            each, error=chance.choice(("HTTP 422: bad query", "HTTP 503", "timeout after 10 s"))
        )
    ),
    "skewed clocks": _of_look(
        lambda chance, look: replace(look, skew_s=chance.choice((None, NAN, INF, 31.0, -45.0, 3600.0)))
    ),
    "wall clock jumped": _of_look(
        lambda chance, look: replace(look, at=look.at + timedelta(hours=chance.choice((-1, 1))))
    ),
    "time stood still": _stood_still,
    "baseline missing": _of_arm(lambda chance, arm: None, canary=False),
    "canary missing": _of_arm(lambda chance, arm: None, canary=True),
    "no pods": _of_pair(lambda chance, pair: replace(pair, **{chance.choice(("control", "canary")): ()})),
    "one replica is both": _of_pair(
        lambda chance, pair: replace(pair, control=tuple(replace(each, revision="1-30") for each in pair.canary))
    ),
    "age not known": _of_pair(_odd_age),
    "control not equally fresh": _of_pair(
        lambda chance, pair: replace(pair, control=pods("old", "1-30", age=chance.choice((700.0, 1e6))))
    ),
    "cut short": _of_look(lambda chance, look: replace(look, whole=False)),
    "service gone": _of_look(lambda chance, look: replace(look, pairs=())),
    "another service": _of_pair(lambda chance, pair: replace(pair, service="shop/other")),
    "figures of another kind": _of_arm(_other_kind),
    "figures that can't be": _of_arm(_impossible),
    "origin not there": _of_sample(lambda chance, sample: replace(sample, origin=chance.choice((-1, 1, 9)))),
    "unknown metric": _of_sample(lambda chance, sample: replace(sample, metric="goodness")),
    "only probes": _of_sample(lambda chance, sample: replace(sample, synthetic=True)),
    "too few looks": lambda chance, looks, terms: looks[len(looks) - chance.randrange(terms.in_a_row) :],
}
