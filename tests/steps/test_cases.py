"""Every kind of step: what it changes, what it leaves alone, what it refuses."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from acting import book, draft, load, paths, seen, told

from meshup.meshes.istio.driver import IstioSidecar
from meshup.steps import BUILT_IN
from meshup.steps.step import Scope

WAYS = ("changes", "already", "refused")


@pytest.mark.parametrize("path", paths(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_step_gives_what_its_case_says(path):
    case = load(path)
    found = draft(case)
    got = {
        "changes": [told(each) for each in found.drafts],
        "problems": [f"{each.code} {each.what}" for each in found.problems],
        "right": list(found.right),
        "notes": list(found.notes),
    }
    wanted = {key: case.get(key, []) for key in got}
    if "has" in case:
        assert [each for each in case["has"] if each not in got["changes"]] == []
        assert [each for each in case.get("has-not", []) if any(each in line for line in got["changes"])] == []
        wanted.pop("changes"), got.pop("changes")
    if "notes" not in case:
        wanted.pop("notes"), got.pop("notes")
    assert json.dumps(got, indent=1) == json.dumps(wanted, indent=1)


def test_every_kind_has_a_case_that_changes_one_that_is_done_and_one_that_is_refused():
    kinds = {path.parent.name: {each["way"] for each in map(load, path.parent.glob("*.yaml"))} for path in paths()}
    assert {each.kind: sorted(set(WAYS) - kinds.get(each.kind, set())) for each in BUILT_IN} == {
        each.kind: [] for each in BUILT_IN
    }


@pytest.mark.parametrize("path", paths(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_order_in_which_things_were_seen_does_not_matter(path):
    case = load(path)
    first = draft(case)
    objects = list(case.get("seen") or ())
    whole = book(load(path))
    ((kind, params),) = case["step"].items()
    step = next(each for each in BUILT_IN if each.kind == kind)
    snapshot = seen(objects, case.get("served", ()))
    shuffled = list(snapshot.objects.items())
    random.Random(7).shuffle(shuffled)
    scope = Scope(
        book=whole,
        stage=whole.stages[-1],
        wave="",
        services=tuple(each for each in whole.services if each.opt_in is not None),
        snapshot=replace(snapshot, objects=dict(shuffled)),
        driver=IstioSidecar(),
        params={**{name: value for name, (_, value, _) in step.params.items()}, **(params or {})},
    )
    assert step.draft(scope) == first
