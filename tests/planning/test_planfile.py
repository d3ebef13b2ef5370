"""A plan file says what it is, comes back equal, and is refused when a hand has been in it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seen import snapshot
from test_plan import NAMES, WAVES, made
from toymesh import book, shop

from meshup.engine.planfile import parse, sealed, text_of
from meshup.model.problem import Refused, UsageError

PLAN = made(book(WAVES), snapshot(shop(NAMES)))
TEXT = text_of(PLAN)


def test_it_comes_back_equal():
    assert parse(TEXT, where="p.plan.json") == PLAN


def test_its_first_line_states_the_schema_and_the_rest_is_one_change_or_gate_a_line():
    rows = [json.loads(line) for line in TEXT.splitlines()]
    assert rows[0]["schema"] == "meshup.dev/plan/v1"
    assert rows[0]["id"] == PLAN.id
    assert [each["change"] for each in rows if "change" in each] == [each.id for each in PLAN.changes()]
    assert sum("gate" in each for each in rows) == 6


@given(st.data())
def test_a_changed_value_anywhere_is_refused(data):
    lines = TEXT.splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    row = json.loads(lines[number])
    places = list(_leaves(row["plan"] if "plan" in row else row["body"]))
    path = data.draw(st.sampled_from(places))
    node = row["plan"] if "plan" in row else row["body"]
    for step in path[:-1]:
        node = node[step]
    before = node[path[-1]]
    node[path[-1]] = _other(before)
    lines[number] = json.dumps(row)
    try:
        found = parse("\n".join(lines), where="p.plan.json")
    except Refused as refused:
        assert refused.code == "MU2102"
        assert refused.exit == 6
    except UsageError as unreadable:
        assert unreadable.code == "MU2101"
    else:
        # What does not enter the digest is when it was taken, and what is spelled differently for the same value.
        assert path[-1] == "taken_at" or found == PLAN


def _other(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value}x"


def _leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, number))
    elif path:
        yield path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "not json",
        '{"schema": "meshup.dev/plan/v2"}',
        '{"schema": "meshup.dev/plan/v1"}',
        "[" * 100_000,
        TEXT + "\n{",
    ],
)
def test_what_is_no_plan_is_a_usage_error_with_a_next_step(text):
    with pytest.raises(UsageError) as refused:
        parse(text, where="p.plan.json")
    assert refused.value.code == "MU2101"
    assert refused.value.fix.startswith("meshup plan")


def test_a_line_taken_out_is_refused():
    lines = TEXT.splitlines()
    for number in range(1, len(lines)):
        with pytest.raises((Refused, UsageError)):
            parse("\n".join(lines[:number] + lines[number + 1 :]), where="p.plan.json")


def test_a_door_opened_by_hand_in_the_file_is_refused_and_one_accepted_by_name_is_kept():
    accepted = replace(PLAN, accepted_one_way=("gw-crds",))
    assert parse(text_of(accepted), where="p.plan.json") == accepted
    head, *rest = TEXT.splitlines()
    row = json.loads(head)
    row["plan"]["accepted_one_way"] = ["gw-crds"]
    with pytest.raises(Refused) as refused:
        parse("\n".join([json.dumps(row), *rest]), where="p.plan.json")
    assert refused.value.code == "MU2102"
    assert "gw-crds" in refused.value.why


def test_whole_seconds_are_one_number_however_they_are_written():
    """A runbook's `5s` is 5 before the file and 5.0 after it; the digest is the same."""
    stage = PLAN.stages[-1]
    wave = stage.waves[0]
    first = replace(wave.gates[0], patience=replace(wave.gates[0].patience, every_s=5, limit_s=60))
    stages = (
        *PLAN.stages[:-1],
        replace(stage, waves=(replace(wave, gates=(first, *wave.gates[1:])), *stage.waves[1:])),
    )
    changed = sealed(replace(PLAN, stages=stages))
    assert parse(text_of(changed), where="p.plan.json") == changed
