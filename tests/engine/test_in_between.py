"""A label that another manager holds is taken off by a second write; what happens in between decides whether it may be."""

from __future__ import annotations

import itertools

import pytest
from bench import put
from toymesh import shop

from meshup.cluster.connect import over
from meshup.engine.marks import Stamp
from meshup.engine.send import send
from meshup.model.change import Label
from meshup.model.objects import Ref, dig
from meshup.model.problem import Refused
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.users import CONTROL_PLANE
from meshup.simulate.clock import VirtualClock

CART = Ref(api_version="apps/v1", kind="Deployment", namespace="shop", name="cart")
AT = ("spec", "template", "metadata", "labels")
OFF = Label(on=CART, at=AT, set={"app.example/old": None}, before={"app.example/old": "yes"})
STAMP = Stamp(run="run-1", change="onboard/1", epoch=3)


class Between:
    """A transport that lets somebody act before each merge patch is sent, so often."""

    def __init__(self, inner, act, times):
        self._inner, self._act, self.left = inner, act, times

    def send(self, request):
        if "merge-patch" in request.headers.get("content-type", "") and self.left:
            self.left -= 1
            self._act()
        return self._inner.send(request)


def world(act, times):
    """Give the door of the one who writes; `act(other)` happens before each of its merge patches."""
    clock = VirtualClock()
    server = ApiServer(clock).as_user(CONTROL_PLANE)
    other = over(server, clock)
    put(other, shop(["cart"]))
    other.merge_patch(
        CART, {"spec": {"template": {"metadata": {"labels": {"app.example/old": "yes"}}}}}, manager="owner"
    )
    between = Between(server, lambda: act(other), times)
    return over(between, clock), between


NOTES = itertools.count()


def status(other):
    seen = dig(other.get(CART), "status", "observedGeneration") or 0
    other.update_status(CART, {"observedGeneration": seen + 1}, manager="controller")


def image(other):
    other.merge_patch(CART, {"metadata": {"annotations": {"owner.example/note": str(next(NOTES))}}}, manager="owner")


def taken(other):
    other.merge_patch(CART, {"metadata": {"annotations": {"meshup.dev/run": "run-2"}}}, manager="meshup")


@pytest.mark.parametrize("act", [status, image])
@pytest.mark.parametrize("times", [1, 4])
def test_a_write_elsewhere_is_no_reason_to_stop(act, times):
    cluster, between = world(act, times)
    send(cluster, OFF, STAMP)
    assert between.left == 0
    assert "app.example/old" not in dig(cluster.get(CART), *AT)


def test_another_run_that_wrote_in_between_wins():
    cluster, _ = world(taken, 1)
    with pytest.raises(Refused, match="run-2 moved") as refused:
        send(cluster, OFF, STAMP)
    assert refused.value.code == "MU2206"
    assert dig(cluster.get(CART), *AT)["app.example/old"] == "yes"


def test_who_is_overtaken_again_and_again_stops():
    cluster, _ = world(status, 1000)
    with pytest.raises(Refused, match="not what the plan says"):
        send(cluster, OFF, STAMP)
