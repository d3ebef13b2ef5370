"""What an upgrade derives from the runbook that onboarded: who is in which wave, what is taken over, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from onboarded import NEW, Onboarded, bare, critical, onboarded

from meshup.cli.kinds import kinds
from meshup.engine.joining import say
from meshup.engine.releases import decide
from meshup.model.duration import Duration
from meshup.model.holds import HoldAt
from meshup.model.problem import Exit, GateHeld, MeshupError, Refused, UsageError, Waiting
from meshup.model.runbook import Budgets, GateSpec, Metrics, Pacing, Probe, Runbook, TrafficHandoff, Waiver, Wave
from meshup.model.verdict import Patience
from meshup.runbook import load, write_upgrade

TAGGED = {
    "tag": "1.30.3",
    "global": {"proxy": {"image": "registry.example/proxyv2:1.30.3-distroless"}},
    "pilot": {"cpu": 2},
}


@pytest.fixture(scope="module")
def made() -> Onboarded:
    """A cluster that these tests only read."""
    return onboarded()


def tuned(book: Runbook) -> Runbook:
    """A runbook in which people wrote everything that a runbook can hold."""
    stages = []
    for each in book.stages:
        stage = each
        if each.name == "onboard":
            approval = GateSpec(
                kind="approval", params={"from": ["ben"]}, patience=Patience(limit_s=7200, every_s=30, in_a_row=1)
            )
            window = GateSpec(
                kind="plaintext-callers",
                params={"window": Duration(90.0)},
                patience=Patience(limit_s=600, every_s=20, in_a_row=4, least=3, window_s=45),
            )
            stage = replace(stage, before=(approval,), gates=(*stage.gates, window), on_fail="hold")
        stages.append(stage)
    assert book.ingress is not None
    until = datetime(2027, 6, 1, tzinfo=UTC)
    return replace(
        book,
        stages=tuple(stages),
        mesh=replace(
            book.mesh, values={**TAGGED, "defaultRevision": book.mesh.revision, "meshConfig": {"a": [1, "x", True]}}
        ),
        services=tuple(
            replace(each, baseline_query='sum(rate(a{b="c"}[1m]))', low_traffic=Probe(path="/", port=8080, expect=204))
            for each in book.services
        ),
        ingress=replace(book.ingress, handoff=TrafficHandoff(to="dns", what="point it here", back="point it back")),
        pacing=Pacing(in_flight=7, new_connections_per_s=2.5),
        budgets=Budgets(latency_ms=5.0, memory_mib=4096, cpu_m=1500, restarts=99),
        metrics=Metrics(ingest_delay_s=20.0, pod_label="kubernetes_pod"),
        holds=HoldAt(users=5, percent=20.0, least=3, window_s=86400.0, critical=False),
        accept_one_way=("crds",),
        waivers=(
            Waiver(gate="restart-is-outage", stage="preflight", owner="ana", reason="known: 1 # replica", until=until),
            Waiver(gate="latency", stage="onboard", owner="ana", reason="slow", until=until, service="shop/web"),
        ),
    )


def test_what_people_tuned_is_taken_over_and_the_file_loads_to_what_was_derived(made: Onboarded) -> None:
    book = tuned(made.book)
    found = made.derive(book=book)
    text = write_upgrade.text(found, kinds())
    loaded = load.load(text.encode(), name="up.yaml", kinds=kinds())
    assert [each for each in loaded.problems if each.severity == "error"] == []
    assert loaded.runbook is not None
    read, meant = bare(loaded.runbook), bare(found.book)
    assert [each.name for each in read.stages] == [each.name for each in meant.stages]
    for one, other in zip(read.stages, meant.stages, strict=True):
        full = kinds().gates
        for part in ("gates", "before"):
            for gate, wanted in zip(getattr(one, part), getattr(other, part), strict=True):
                usual = {name: value for name, (_, value, _) in full[gate.kind].items() if value is not ...}
                assert (gate.kind, gate.patience) == (wanted.kind, wanted.patience)
                assert gate.params == {**usual, **wanted.params}
        assert (one.waves, one.on_fail) == (other.waves, other.on_fail)
    assert replace(read, stages=()) == replace(meant, stages=())
    assert read.pacing == book.pacing
    assert read.budgets == book.budgets
    assert read.metrics == book.metrics
    assert read.holds == book.holds
    assert read.services == bare(book).services


def test_an_upgrade_has_a_preflight_whether_the_onboarding_had_one_or_not(made: Onboarded) -> None:
    book = replace(made.book, stages=tuple(each for each in made.book.stages if each.name != "preflight"))
    for old in (made.book, book):
        first, *others = made.derive(book=old).book.stages
        assert first.name == "preflight"
        assert "preflight" in {each.kind for each in (*first.before, *first.gates)}
        assert "preflight" not in {gate.kind for stage in others for gate in (*stage.before, *stage.gates)}


def test_gates_and_approvals_of_the_onboarding_stand_before_and_after_every_wave_that_moves(made: Onboarded) -> None:
    book = tuned(made.book)
    wanted = next(each for each in book.stages if each.name == "onboard")
    by_name = {each.name: each for each in made.derive(book=book).book.stages}
    for name in ("qualify", "spread"):
        kept = [gate for gate in by_name[name].gates if gate.kind != "soak"]
        assert sorted(gate.kind for gate in kept) == sorted(gate.kind for gate in wanted.gates)
        assert [gate.kind for gate in by_name[name].before] == ["approval"]
        assert by_name[name].on_fail == "hold"


def test_critical_services_are_judged_after_they_ran_for_a_while(made: Onboarded) -> None:
    qualify = next(each for each in made.derive(soak_s=7200).book.stages if each.name == "qualify")
    names = [each.kind for each in qualify.gates]
    assert names.index("proxies-right") < names.index("soak") < names.index("success-rate")
    assert next(each for each in qualify.gates if each.kind == "soak").params["for"] == 7200.0


def test_what_is_not_taken_over_is_said(made: Onboarded) -> None:
    found = made.derive(book=tuned(made.book))
    said = "\n".join(found.notes)
    assert "the waiver of latency of onboard (ana)" in said
    assert "not repeated, as it is done and stays: mtls, strict" in said
    assert "the handoff of real traffic" in said
    assert "the default validator is repointed to 1-31-0" in said
    values = found.book.mesh.values
    assert (values["defaultRevision"], values["tag"], values["pilot"]) == ("1-31-0", "1.31.0", {"cpu": 2})
    assert values["global"] == {"proxy": {"image": "registry.example/proxyv2:1.31.0-distroless"}}
    assert values["meshConfig"] == {"a": [1, "x", True]}
    assert "values that named 1.30.3 or 1-30-3 name 1.31.0 and 1-31-0" in said
    assert [each.gate for each in found.book.waivers] == ["restart-is-outage"]


def test_who_is_in_no_mesh_yet_is_not_enrolled_by_an_upgrade(made: Onboarded) -> None:
    book = made.book
    opted = replace(next(each for each in book.services if each.id == "shop/web").opt_in, by="sue")  # type: ignore[type-var]
    services = tuple(replace(each, opt_in=opted) if each.id == "shop/search" else each for each in book.services)
    wave = replace(book.waves[0], services=(*book.waves[0].services, "shop/search"))
    found = made.derive(book=replace(book, services=services, waves=(wave, *book.waves[1:])))
    assert "not in the mesh yet" in dict(found.left)["shop/search"]


def test_everybody_of_a_wave_is_in_one_wave_and_the_qualifying_one_holds_critical_services_alone(
    made: Onboarded,
) -> None:
    found = made.derive().book
    names = [name for wave in found.waves for name in wave.services]
    assert len(names) == len(set(names))
    assert set(names) == {name for wave in made.book.waves for name in wave.services}
    assert [each.qualifies for each in found.waves] == [True] + [False] * (len(found.waves) - 1)
    assert set(found.waves[0].services) == critical(made.book)


def test_a_wave_of_the_runbook_that_has_the_name_keeps_it(made: Onboarded) -> None:
    last = made.book.waves[-1].name
    waves = (*made.book.waves[:-2], replace(made.book.waves[-2], name="critical"), made.book.waves[-1])
    stages = tuple(
        replace(each, waves=tuple("critical" if name == made.book.waves[-2].name else name for name in each.waves))
        for each in made.book.stages
    )
    found = made.derive(book=replace(made.book, waves=waves, stages=stages)).book
    assert found.waves[0].name == "critical-2"
    assert last not in (each.name for each in found.waves), "its services qualify the release"


def test_only_critical_services_may_qualify(made: Onboarded) -> None:
    text = write_upgrade.text(made.derive(), kinds()).replace("      - shop/web\n", "      - shop/cart\n", 1)
    codes = [each.code for each in load.load(text.encode(), name="up.yaml", kinds=kinds()).problems]
    assert "MU1326" in codes


def nobody_critical(book: Runbook) -> Runbook:
    return replace(book, services=tuple(replace(each, critical=False) for each in book.services))


def no_owner_agreed(book: Runbook) -> Runbook:
    return replace(
        book, services=tuple(replace(each, opt_in=None) if each.critical else each for each in book.services)
    )


def elsewhere(book: Runbook) -> Runbook:
    return replace(book, mesh=replace(book.mesh, release="1.30.1", revision="1-30-1"))


def far(book: Runbook) -> Runbook:
    return replace(book, mesh=replace(book.mesh, release="1.29.4", revision="1-29-4"))


@pytest.mark.parametrize(
    ("to", "change", "error", "code", "said"),
    [
        ("1.44.0", None, UsageError, "MU3601", "1.28, 1.29, 1.30, 1.31"),
        ("1.30.3", None, UsageError, "MU3602", ""),
        ("1.29.9", None, UsageError, "MU3602", ""),
        (NEW, elsewhere, Refused, "MU3604", "1-30-3 (1.30.3)"),
        (NEW, far, Refused, "MU3605", "go through 1.30 first"),
        (NEW, nobody_critical, UsageError, "MU3606", ""),
        (NEW, no_owner_agreed, Waiting, "MU3607", ""),
    ],
)
def test_what_can_not_be_upgraded_to_is_refused_with_the_way_out(
    made: Onboarded,
    to: str,
    change: Callable[[Runbook], Runbook] | None,
    error: type[MeshupError],
    code: str,
    said: str,
) -> None:
    book = change(made.book) if change is not None else made.book
    with pytest.raises(error) as refused:
        made.derive(to, book=book)
    assert refused.value.code == code
    assert said in refused.value.why
    assert refused.value.fix


def test_owners_who_did_not_agree_are_named(made: Onboarded) -> None:
    with pytest.raises(Waiting) as waits:
        made.derive(book=no_owner_agreed(made.book))
    assert waits.value.exit == Exit.WAITING
    said = "\n".join(waits.value.details)
    assert "payments/ledger (team-pay): its owner did not opt in" in said


@pytest.mark.parametrize("move", ["block", "deprecate"])
def test_a_release_that_may_not_be_gone_to_is_refused_with_who_said_so(move: str) -> None:
    shop = onboarded("tests/views/corner.yaml")
    decide(shop.session, "add", NEW, book=shop.book)
    if move == "deprecate":
        decide(shop.session, "promote", NEW, book=shop.book, reason="good")
    decide(shop.session, move, NEW, book=shop.book, reason="loses connections")  # type: ignore[arg-type]
    with pytest.raises(GateHeld) as held:
        shop.derive()
    assert (held.value.code, held.value.exit) == ("MU3603", Exit.GATE_HELD)
    assert "loses connections" in held.value.why
    decide(shop.session, "add" if move == "block" else "promote", NEW, book=shop.book, reason="mended")
    assert shop.derive().state == ("candidate" if move == "block" else "supported")


def test_who_wishes_to_wait_is_not_moved_and_the_old_revision_stays_for_them() -> None:
    shop = onboarded("tests/views/corner.yaml")
    later = shop.session.clock.now() + timedelta(days=30)
    say(shop.session, "cart", joins=True, not_before=later, reason="after the sale", book=shop.book)
    found = shop.derive()
    assert "not before" in dict(found.left)["shop/cart"]
    assert found.book.mesh.keep_revisions[-1] == "1-30-3"
    assert shop.apply(shop.written()).exit == 0
    assert shop.runs()["shop/cart"] == ("1.30.3",)
    assert "1.30.3" in shop.driver.installed(shop.seen()).values()


def test_an_owner_who_opted_out_does_not_qualify() -> None:
    shop = onboarded("tests/views/corner.yaml")
    say(shop.session, "web", joins=False, reason="black friday", book=shop.book)
    with pytest.raises(Waiting) as waits:
        shop.derive()
    assert "shop/web" in waits.value.details[0]


def test_a_wish_for_a_wave_of_the_onboarding_takes_nobody_out_of_the_qualifying_one() -> None:
    shop = onboarded("tests/views/corner.yaml")
    say(shop.session, "web", joins=True, wave="wave-2", reason="as agreed", book=shop.book)
    book = shop.written()
    assert book.waves == (replace(book.waves[0], services=("shop/web",)), *book.waves[1:])
    assert isinstance(book.waves[0], Wave)
    plan = shop.plan(replace(book, waves=(*book.waves, Wave(name="wave-2", services=("data/reports",)))))
    assert [each.id for each in plan.changes() if each.service == "shop/web"] == ["qualify/critical/1"]
