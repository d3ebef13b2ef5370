"""A run judged again from its journal: the same verdicts bit for bit, other answers by other terms, and edits are seen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from at_home import at_home
from halfway import SCENARIO, book

from meshup.cli.kinds import gates, kinds
from meshup.cli.main import main
from meshup.cli.playing import proposed, session_of
from meshup.cli.simulating import programs
from meshup.engine.history import newest_run
from meshup.engine.rehearse import rehearse
from meshup.engine.replay import LEAST, Other, again, replay
from meshup.engine.session import Silence
from meshup.journal.runs import heads
from meshup.model.problem import Exit, Refused
from meshup.model.verdict import Answer
from meshup.runbook.load import load
from meshup.simulate.scenario import load as scene


@pytest.fixture(scope="module")
def shop():
    """A whole rollout of a shop, and its way back."""
    around = session_of(scene("shop", programs=programs()), Silence())
    rehearse(around, proposed(around))
    return around


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A cluster with two releases, of which half of the requests to the new one fail."""
    path = tmp_path_factory.mktemp("world") / "world.yaml"
    path.write_text(yaml.safe_dump({**SCENARIO, "releases": [{"release": "1.30.3", "bad": "errors", "errors": 0.5}]}))
    return scene(str(path))


@pytest.fixture(scope="module")
def failed(world):
    """A move to that release, which a canary gate stops."""
    around = session_of(world, Silence())
    loaded = load(json.dumps(book("cart"), indent=1).encode(), name="book", kinds=kinds())
    assert loaded.runbook is not None, loaded.problems
    found = rehearse(around, loaded.runbook, back=False)
    assert found.outcome.exit == Exit.UNDONE
    return around


def test_every_run_replays_bit_for_bit(shop):
    runs = heads(shop.cluster)
    assert len(runs) == 2
    seen = set()
    for run in runs:
        found = replay(shop, run=run.run)
        assert found.verdicts
        assert [each.gate for each in found.verdicts if not each.same] == []
        seen |= {each.kind for each in found.verdicts if each.now is not None}
    stages = {
        gate.kind
        for stage in newest_run(shop, run=runs[0].run)[1]().stages
        for wave in stage.waves
        for gate in wave.gates
    }
    assert {"success-rate", "latency", "new-connections", "proxies-right", "plaintext-callers", "preflight"} <= seen
    assert stages & seen


def test_a_canary_gate_replays_and_another_limit_gives_another_answer(failed):
    same = replay(failed)
    canary = next(each for each in same.verdicts if each.kind == "canary")
    assert same.same
    assert canary.now.answer is Answer.FAIL
    bold = replay(failed, others=[Other(name="error-hard-limit", value=0.9, kind="canary")])
    found = next(each for each in bold.verdicts if each.kind == "canary")
    assert not bold.same
    assert found.now.answer is Answer.UNKNOWN
    assert "both arms are needed at once" in found.now.because


def test_a_term_of_another_kind_of_gate_changes_nothing(failed):
    found = replay(failed, others=[Other(name="error-hard-limit", value=0.9, kind="latency")])
    assert found.same
    assert not any(each.tried for each in found.verdicts)


def test_more_evidence_than_was_seen_makes_a_pass_unknown(shop):
    found = replay(shop, run=heads(shop.cluster)[0].run, others=[Other(name=LEAST, value=10**9)])
    changed = {each.kind for each in found.verdicts if not each.same}
    assert "success-rate" in changed
    assert all(each.now.answer is Answer.UNKNOWN for each in found.verdicts if not each.same)


def test_evidence_that_was_edited_is_not_the_same(failed):
    state, plan = newest_run(failed)
    entries = []
    for entry in state.judgements:
        readings = tuple(
            replace(each, data=json.loads(json.dumps(dict(each.data)).replace('"c", ', '"c", 1')))
            for each in entry.judged.readings
        )
        entries.append(replace(entry, judged=replace(entry.judged, readings=readings)))
    assert again(state, plan(), gates()).same
    assert not again(replace(state, judgements=entries), plan(), gates()).same


def test_what_no_gate_judged_is_named_with_its_reason(failed):
    state, plan = newest_run(failed)
    judged = replace(state.judgements[0].judged, gate="upgrade/first/rollout", kind="rollout", readings=())
    found = again(replace(state, judgements=[replace(state.judgements[0], judged=judged)]), plan(), gates())
    assert found.verdicts[0].now is None
    assert found.verdicts[0].why


def test_a_run_that_is_not_there_is_refused(failed):
    with pytest.raises(Refused, match="no run 20260101"):
        replay(failed, run="20260101")


# The command line.


@pytest.fixture
def here(failed, world, tmp_path, monkeypatch):
    """A kubeconfig of the cluster with the failed run."""
    with at_home(world.server, tmp_path, monkeypatch):
        yield


def test_the_command_ends_with_0_when_all_is_the_same_and_with_3_when_not(here, capsys):
    assert main(["replay"]) == Exit.DONE
    assert "every verdict, bit for bit" in capsys.readouterr().out
    assert main(["replay", "--set", "canary.error-hard-limit=0.9", "-o", "json"]) == Exit.GATE_HELD
    document = json.loads(capsys.readouterr().out)
    assert (document["same"], document["exit"], document["terms"]) == (False, 3, ["canary.error-hard-limit=0.9"])
    assert main(["replay", "nothing-such"]) == Exit.REFUSED


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("canary.error-limit", "a term is written as"),
        ("cannary.error-limit=0.1", 'did you mean "canary"?'),
        ("canary.eror-limit=0.1", 'did you mean "error-limit"?'),
        ("eror-limit=0.1", 'did you mean "error-limit"?'),
        ("canary.error-limit=much", "is no number"),
        ("canary.error-limit=nan", "is no number"),
        ("canary.error-limit=1.5", "is no share"),
        ("canary.watch=5", "is no length of time"),
        ("canary.metrics=errors,speed", '"speed" is none of'),
        (".error-limit=0.1", "a term is written as"),
    ],
)
def test_a_term_that_can_not_be_tried_is_a_usage_error(capsys, words, why):
    assert main(["replay", "--set", words]) == Exit.USAGE
    assert why in capsys.readouterr().err
