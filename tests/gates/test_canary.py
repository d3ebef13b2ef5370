"""The gate `canary` from end to end: a release under traffic, its Prometheus, the judge, and what becomes of the wave."""

from __future__ import annotations

from halfway import book, rehearsed

from meshup.model.problem import Exit


def test_pods_of_one_revision_alone_are_unknown_and_the_wave_holds(tmp_path, capsys):
    code, _, (found,) = rehearsed(tmp_path, capsys, book("cart"), "--no-back")
    assert code == Exit.GATE_HELD
    assert found["answer"] == "unknown"
    assert "no control pod serves, and both arms are needed at once" in found["because"]


def test_pods_of_one_revision_alone_fail_beyond_the_hard_limit_and_the_wave_goes_back(tmp_path, capsys):
    code, _, (found,) = rehearsed(tmp_path, capsys, book("cart"), "--no-back", "--bad", "errors,errors=0.5")
    assert code == Exit.UNDONE
    assert found["answer"] == "fail"
    assert "beyond the hard limit 0.25" in found["because"]
