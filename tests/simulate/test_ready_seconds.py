"""A Deployment whose new pods must be ready for long goes no further than its strategy may, until that time is over or gone."""

from __future__ import annotations

import pytest

from meshup.model.rollout import HELD_S, rollout
from meshup.simulate.scenario import load


@pytest.fixture
def shop():
    return load("shop")


def moved(shop, seconds, **rolling):
    """Change the template of web (3 pods) with that many minReadySeconds, and let 60 s pass."""
    shop.server.objects.patch(
        "deployments.apps",
        "shop",
        "web",
        {
            "spec": {
                "minReadySeconds": seconds,
                "strategy": {"rollingUpdate": rolling},
                "template": {"metadata": {"labels": {"new": "yes"}}},
            }
        },
    )
    shop.clock.advance(60)


def web(shop):
    return shop.server.objects.get("deployments.apps", "shop", "web")


def counts(shop):
    status = web(shop)["status"]
    return tuple(status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"))


@pytest.mark.parametrize(
    ("rolling", "wanted"),
    [
        ({"maxSurge": 1, "maxUnavailable": 0}, (4, 1, 4, 3)),
        ({"maxSurge": "50%", "maxUnavailable": 0}, (5, 2, 5, 3)),
        ({"maxSurge": 1, "maxUnavailable": 1}, (4, 2, 4, 2)),
        ({"maxSurge": 0, "maxUnavailable": 1}, (3, 1, 3, 2)),
    ],
)
def test_it_holds_where_its_strategy_ends_and_the_rollout_says_so(shop, rolling, wanted):
    moved(shop, HELD_S, **rolling)
    assert counts(shop) == wanted
    found = rollout(web(shop))
    assert found.done
    assert found.because == f"held half-way with {wanted[1]} new of {wanted[0]} pods, all ready"


def test_it_goes_on_when_the_time_is_taken_away(shop):
    moved(shop, HELD_S, maxSurge=1, maxUnavailable=0)
    shop.server.objects.patch("deployments.apps", "shop", "web", {"spec": {"minReadySeconds": None}})
    assert not rollout(web(shop)).done
    shop.clock.advance(60)
    assert counts(shop) == (3, 3, 3, 3)


def test_it_goes_on_when_the_time_is_over(shop):
    moved(shop, 90, maxSurge=1, maxUnavailable=0)
    assert counts(shop) == (4, 1, 4, 3)
    shop.clock.advance(600)
    assert counts(shop) == (3, 3, 3, 3)
