"""Each change's way back: derived from the change alone, and the same as a kubectl command."""

from __future__ import annotations

import json
import shlex

import pytest
from toymesh import deployment, guard_lease

from meshup.engine.undo import as_kubectl, inverse
from meshup.model.change import Apply, Create, Delete, Evict, Handoff, Label, Restart
from meshup.model.objects import Ref, ref_of

WEB = deployment("shop", "web")
ON = ref_of(WEB)
LABELS = ("spec", "template", "metadata", "labels")
POD = Ref(api_version="v1", kind="Pod", namespace="shop", name="web-1")

MOVE = Label(on=ON, at=LABELS, set={"rev": "2", "old": None}, before={"rev": None, "old": "1"}, uid="u")
CHANGES = [
    Create(on=ON, body=WEB),
    Apply(on=ON, body=WEB),
    Apply(on=ON, body=WEB, before=deployment("shop", "web", replicas=3), uid="u"),
    MOVE,
    Restart(on=ON, value="r-1", before=None, uid="u"),
    Delete(on=ON, uid="u", before={**WEB, "metadata": {**WEB["metadata"], "uid": "u", "resourceVersion": "3"}}),
    Evict(on=POD, uid="u"),
    Handoff(on=ON, to="team-edge", what="point DNS here", until={}, back="point it back"),
]


def test_labels_and_applies_are_their_own_inverse_twice():
    for change in (CHANGES[2], MOVE):
        assert inverse(inverse(change)) == change


def test_what_is_made_is_deleted_by_a_uid_that_only_making_it_tells():
    for change in CHANGES[:2]:
        assert inverse(change) == Delete(on=ON, uid="", before=WEB)


def test_what_is_deleted_is_made_again_without_what_only_the_server_writes():
    back = inverse(CHANGES[5])
    assert isinstance(back, Create)
    assert back.body == WEB


def test_an_evicted_pod_needs_no_way_back():
    assert inverse(CHANGES[6]) is None


def test_a_restart_back_is_a_restart_of_its_own():
    back = inverse(CHANGES[4])
    assert isinstance(back, Restart)
    assert back.value != "r-1"


@pytest.mark.parametrize("change", CHANGES, ids=lambda each: type(each).__name__)
def test_each_is_one_kubectl_line(change):
    line = as_kubectl(change)
    assert "\n" not in line
    if not isinstance(change, Handoff):
        words = shlex.split(line)
        assert words[0] == "kubectl"


def test_a_hostile_name_stays_one_word():
    on = Ref(api_version="v1", kind="Pod", namespace="a; rm -rf /", name="$(reboot)")
    words = shlex.split(as_kubectl(Evict(on=on, uid="u")))
    assert "pod/$(reboot)" in words
    assert "a; rm -rf /" in words


def test_a_label_patch_is_json_with_nulls_for_what_goes():
    words = shlex.split(as_kubectl(MOVE))
    patch = json.loads(words[words.index("-p") + 1])
    assert patch == {"spec": {"template": {"metadata": {"labels": {"rev": "2", "old": None}}}}}


def test_a_group_is_part_of_the_name():
    assert "deployment.apps/web -n shop" in as_kubectl(MOVE)
    assert "lease.coordination.k8s.io/" in as_kubectl(Delete(on=ref_of(guard_lease()), uid="u", before={}))
