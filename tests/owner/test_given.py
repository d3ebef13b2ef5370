"""What owners give on the command line is taken as it is meant, or refused with the bound, before anything is contacted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from meshup.cli.main import main
from meshup.cli.reasons import moment, worded
from meshup.model.problem import UsageError

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 257, "a\x1b[31mb", "a\nb", "a\u202eb", "\x00"])
def test_a_reason_that_no_report_could_show_is_refused(reason):
    with pytest.raises(UsageError) as refused:
        worded(reason, what="a rollback", needed=True)
    assert refused.value.code == "MU1013"
    assert "1 to 256 printable characters" in refused.value.what


@pytest.mark.parametrize("reason", ["x", "x" * 256, " timeouts to ledger ", "Größe: 4 GiB — zu viel"])
def test_a_reason_that_people_can_read_is_kept_without_its_blanks(reason):
    assert worded(reason, what="a rollback", needed=True) == reason.strip()
    assert worded("", what="an opt-in", needed=False) == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T09:30:00Z", datetime(2026, 12, 1, 9, 30, tzinfo=UTC)),
        ("2026-12-01T09:30:00+02:00", datetime(2026, 12, 1, 7, 30, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 9, 9, tzinfo=UTC)),
        ("1h30m", datetime(2026, 11, 2, 10, 30, tzinfo=UTC)),
    ],
)
def test_a_day_a_time_and_a_length_of_time_all_name_a_moment(text, found):
    assert moment(text, NOW, flag="--not-before") == found


@pytest.mark.parametrize("text", ["", "soon", "2026-11-02", "2026-11-02T09:00:00Z", "0s", "2026-13-01", "-1d", "401d"])
def test_a_moment_that_is_past_or_none_is_refused(text):
    with pytest.raises(UsageError) as refused:
        moment(text, NOW, flag="--not-before")
    assert refused.value.code == "MU1014"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["rollback", "cart", "--to", "1.0", "--reason", "a\x1bb"], "MU1013"),
        (["rollback", "cart", "--to", "1.0"], "MU1013"),
        (["rollback", "cart", "--to", "1.0", "--reason", "r", "--until", "soon"], "MU1001"),
        (["opt-out", "cart", "--reason", "x" * 257], "MU1013"),
        (["opt-in", "cart", "-o", "yaml"], "MU1008"),
        (["opt-in"], "MU1001"),
        (["unpin"], "MU1001"),
        (["unpin", "cart", "--reason", "a\x00b"], "MU1013"),
        (["opt-in", "cart", "--write", "w.yaml"], "MU1001"),
    ],
)
def test_bad_words_end_before_any_cluster_is_asked(arguments, code, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert f"error[{code}]" in said.err, said.err
    assert "\x1b" not in said.err + said.out
