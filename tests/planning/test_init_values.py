"""What `init` takes from the machine and from the user: the release at hand, and values for the mesh's charts."""

from __future__ import annotations

import os
import stat
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from seen import snapshot

from meshup.cli import books
from meshup.cli.kinds import kinds
from meshup.engine.findings import pretended
from meshup.engine.propose import RELEASE, propose
from meshup.meshes import BUILT_IN
from meshup.model.problem import UsageError
from meshup.model.runbook import Manifests
from meshup.runbook import load, write

DRIVER = BUILT_IN[0]
WORDS = st.text("abcXYZ019.-_:{}[]'\"#&*!|>%@` ", max_size=12)
VALUES = st.dictionaries(
    st.from_regex(r"[a-z][a-zA-Z0-9]{0,8}", fullmatch=True),
    st.recursive(
        st.none() | st.booleans() | st.integers(-9999, 9999) | WORDS,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), inner, max_size=3)
        ),
        max_leaves=12,
    ),
    max_size=4,
)


@pytest.fixture
def istioctl(tmp_path, monkeypatch):
    """Put an istioctl that says its release on PATH."""
    path = tmp_path / "istioctl"
    path.write_text('#!/bin/sh\necho \'{"clientVersion": {"version": "1.31.0-dev"}}\'\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


def test_the_release_of_the_istioctl_at_hand_is_proposed(istioctl):
    mesh = propose(snapshot([]), DRIVER).mesh
    assert (mesh.manifests.source, mesh.release, mesh.revision) == ("istioctl", "1.31.0-dev", "1-31-0-dev")


def test_a_release_that_was_asked_for_is_proposed_whatever_is_at_hand(istioctl):
    assert propose(snapshot([]), DRIVER, release="1.29.4").mesh.release == "1.29.4"


def test_without_a_program_the_built_in_release_is_proposed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    mesh = propose(snapshot([]), DRIVER).mesh
    assert (mesh.manifests.source, mesh.release) == ("istioctl", RELEASE)


@given(VALUES)
def test_values_come_back_from_the_runbook_as_they_were_given(values):
    text = write.text(propose(snapshot([]), DRIVER, release=RELEASE, values=values))
    loaded = load.load(text.encode(), name="meshup.yaml", kinds=kinds())
    assert not [each for each in loaded.problems if each.severity == "error"], text
    assert loaded.runbook is not None
    assert dict(loaded.runbook.mesh.values) == values


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("- a\n- b\n", "MU1108"),
        ("a: 1\na: 2\n", "MU1110"),
        ("a: &x {}\nb: *x\n", "MU1105"),
        ("a: [\n", "MU1101"),
    ],
)
def test_a_file_that_is_no_values_is_refused_with_its_place(tmp_path, text, code):
    path = tmp_path / "values.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        books.values(str(path))
    assert refused.value.code == code
    assert refused.value.problems[0].at is not None


def test_stand_ins_are_planned_for_the_simulator_and_block_a_plan_for_any_other_server():
    text = write.text(propose(replace(snapshot([]), simulator=True), DRIVER))
    on = load.load(text.encode(), name="meshup.yaml", kinds=kinds()).runbook
    assert on.mesh.manifests == Manifests(source="stand-in")
    assert [each.code for each in pretended(on, snapshot([]))] == ["MU2203"]
    assert list(pretended(on, replace(snapshot([]), simulator=True))) == []


def test_a_file_of_values_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.yaml can't be read"):
        books.values(str(tmp_path / "nowhere.yaml"))


def test_values_are_read_as_they_stand(tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text('compatibilityVersion: "1.30"\npilot: {autoscaleEnabled: false}\n')
    assert books.values(str(path)) == yaml.safe_load(path.read_text())
