"""What owners said beats the runbook; a wish is kept or named; nobody moves before the day their owner named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from seen import snapshot
from toymesh import REV, ToyDriver, book, deployment, kinds, shop

from meshup.engine.draft import draft
from meshup.engine.plan import plan

NAMES = ["web", "cart", "ads"]
BOOK = book({"wave-1": ["web", "cart"], "wave-2": ["ads"]})
NOBODY = replace(BOOK, services=tuple(replace(each, opt_in=None) for each in BOOK.services))


def made(meant, seen):
    steps, gates = kinds()
    driver = ToyDriver()
    return plan(draft(meant, seen, steps=steps, driver=driver), seen, driver=driver, gates=gates)


def word(service, *, joins=True, at="2026-11-01T00:00:00Z", stored=None, user="bob", name="", **spec):
    meta = {"name": name or f"{service}-{at}-{joins}".lower().replace(":", ""), "namespace": "shop"}
    if stored:
        meta["creationTimestamp"] = stored
    body = {"service": service, "joins": joins, "requestedBy": {"username": user}, "at": at, **spec}
    return {"apiVersion": "meshup.dev/v1", "kind": "OptIn", "metadata": meta, "spec": body}


def waves(meant, *words, objects=None):
    found = made(meant, snapshot([*(shop(NAMES) if objects is None else objects), *words]))
    return {wave.name: wave.services for wave in found.stages[2].waves}, found


def test_an_owners_opt_in_beats_a_runbook_that_does_not_have_it():
    moved, found = waves(NOBODY, word("ads"))
    assert moved == {"wave-1": (), "wave-2": ("shop/ads",)}
    assert next(each for each in found.book.services if each.name == "ads").opt_in.by == "bob"


def test_an_opt_out_beats_a_runbook_that_opted_it_in_and_is_named():
    moved, found = waves(BOOK, word("web", joins=False, reason="black friday"))
    assert moved == {"wave-1": ("shop/cart",), "wave-2": ("shop/ads",)}
    assert "shop/web stays out: bob opted it out on 2026-11-01: black friday" in found.notes
    assert found.stages[2].waves[0].waiting == ("shop/web",)


@pytest.mark.parametrize(
    ("first", "second", "joins"),
    [
        # The server's own time decides, whatever the clocks of the owners say.
        (
            {"joins": True, "at": "2026-11-09T00:00:00Z", "stored": "2026-11-01T00:00:00Z"},
            {"joins": False, "at": "2026-11-01T00:00:00Z", "stored": "2026-11-02T00:00:00Z"},
            False,
        ),
        (
            {"joins": False, "stored": "2026-11-01T00:00:00Z"},
            {"joins": True, "stored": "2026-11-02T00:00:00Z"},
            True,
        ),
        # Within one second of the server the later word counts, and of two equal ones the one that says no.
        (
            {"joins": True, "at": "2026-11-01T00:00:01Z", "stored": "2026-11-01T00:00:00Z"},
            {"joins": False, "at": "2026-11-01T00:00:00Z", "stored": "2026-11-01T00:00:00Z"},
            True,
        ),
        (
            {"joins": True, "at": "2026-11-01T00:00:00Z", "stored": "2026-11-01T00:00:00Z"},
            {"joins": False, "at": "2026-11-01T00:00:00Z", "stored": "2026-11-01T00:00:00Z"},
            False,
        ),
    ],
)
def test_the_last_word_counts_and_a_tie_is_an_opt_out(first, second, joins):
    for several in ((first, second), (second, first)):
        words = [word("web", name=f"w{number}", **each) for number, each in enumerate(several)]
        moved, _ = waves(BOOK, *words)
        assert ("shop/web" in moved["wave-1"]) is joins


@pytest.mark.parametrize("joins", ["yes", 1, None, "true"])
def test_what_does_not_say_that_it_joins_stays_out(joins):
    moved, _ = waves(BOOK, word("web", joins=joins, name="odd"))
    assert "shop/web" not in moved["wave-1"]


def test_a_word_that_cannot_be_read_does_not_count_and_is_named():
    moved, found = waves(BOOK, word("web", joins=False, at="soon", name="odd"))
    assert "shop/web" in moved["wave-1"]
    assert "OptIn shop/odd can't be read, so it does not count" in found.notes


def test_a_wish_for_a_wave_is_kept():
    moved, found = waves(BOOK, word("web", wave="wave-2"))
    assert moved == {"wave-1": ("shop/cart",), "wave-2": ("shop/ads", "shop/web")}
    assert "shop/web is in wave-2 as bob wishes, no more in wave-1" in found.notes


def test_a_wish_for_the_wave_it_is_in_is_no_news():
    moved, found = waves(BOOK, word("ads", wave="wave-2"))
    assert moved["wave-2"] == ("shop/ads",)
    assert not [each for each in found.notes if "wishes" in each]


def test_a_wish_that_cannot_be_kept_is_a_finding_and_the_rest_goes_on():
    moved, found = waves(BOOK, word("web", wave="wave-9"))
    assert moved["wave-1"] == ("shop/web", "shop/cart")
    assert (
        "shop/web is not in wave-9 as bob wishes: the runbook has no such wave; it has wave-1, wave-2; it stays in wave-1"
        in found.notes
    )
    assert not found.blocked


def test_a_critical_service_is_in_no_first_wave_whatever_its_owner_wishes():
    meant = replace(BOOK, services=tuple(replace(each, critical=each.name == "ads") for each in BOOK.services))
    moved, found = waves(meant, word("ads", wave="wave-1"))
    assert moved["wave-2"] == ("shop/ads",)
    assert any("a critical service is in no first wave; it stays in wave-2" in each for each in found.notes)


def test_who_is_in_no_wave_is_told_how_to_get_into_one():
    meant = replace(BOOK, waves=(BOOK.waves[0], replace(BOOK.waves[1], services=())))
    moved, found = waves(meant, word("ads"))
    assert moved["wave-2"] == ()
    assert any("shop/ads in, and it is in no wave" in each and "--wave wave-2" in each for each in found.notes)
    moved, _ = waves(meant, word("ads", wave="wave-2"))
    assert moved["wave-2"] == ("shop/ads",)


@pytest.mark.parametrize(
    ("until", "moves"),
    [("2026-11-02T09:00:01Z", False), ("2026-11-02T09:00:00Z", True), ("2026-10-01T00:00:00Z", True)],
)
def test_nobody_moves_before_the_day_their_owner_named(until, moves):
    moved, found = waves(BOOK, word("web", notBefore=until))
    assert ("shop/web" in moved["wave-1"]) is moves
    assert (found.stages[2].waves[0].waiting == ("shop/web",)) is not moves
    assert any("shop/web is left out for now: bob opted it in, and not before" in each for each in found.notes) is not (
        moves
    )
    # No later step may count on it while it is outside.
    assert (next(each for each in found.book.services if each.name == "web").opt_in is not None) is moves


def test_one_that_is_inside_already_is_not_moved_before_its_day_and_not_forgotten():
    there = deployment("shop", "web")
    there["spec"]["template"]["metadata"]["labels"][REV] = "1-0"
    objects = [*shop(["cart", "ads"]), there]
    moved, found = waves(BOOK, word("web", notBefore="2026-12-01T00:00:00Z"), objects=objects)
    assert moved["wave-1"] == ("shop/cart",)
    assert next(each for each in found.book.services if each.name == "web").opt_in is not None


def test_a_service_that_the_runbook_does_not_have_is_named():
    _, found = waves(BOOK, word("stock"))
    assert "bob opted shop/stock in, which the runbook does not have; meshup init proposes it" in found.notes
    _, found = waves(BOOK, word("stock", joins=False))
    assert not [each for each in found.notes if "stock" in each]
