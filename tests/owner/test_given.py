"""What owners give on the command line is taken as it is meant, or refused with the bound, before anything is contacted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from meshup.cli.main import main
from meshup.cli.reasons import EXAMPLES, lasting, moment, worded
from meshup.model.problem import UsageError

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


WRONG = {
    "": "needs a reason, and none was given",
    "   ": "needs a reason, and none was given",
    "x" * 257: "has 257 characters, at most 256",
    "a\x1b[31mb": "a control character, the 2nd letter",
    "a\nb": "a control character, the 2nd letter",
    "a\u202eb": "a control character, the 2nd letter",
    "\x00": "a control character, the 1st letter",
}


@pytest.mark.parametrize("command", sorted(EXAMPLES))
@pytest.mark.parametrize("reason", WRONG)
def test_a_reason_that_no_report_could_show_is_refused_with_what_is_wrong_and_how_to_mend_that(reason, command):
    with pytest.raises(UsageError) as refused:
        worded(reason, command=command, needed=True)
    assert refused.value.code == "MU1013"
    assert WRONG[reason] in refused.value.what
    missing = not reason.strip()
    # An example helps who gave none, and must be of the command that was called.
    assert (EXAMPLES[command] in refused.value.fix) is missing
    assert (command in refused.value.what) is missing
    assert missing or refused.value.fix.startswith(("shorten --reason", "write --reason as one line"))


@pytest.mark.parametrize("reason", ["x", "x" * 256, " timeouts to ledger ", "Größe: 4 GiB — zu viel"])
def test_a_reason_that_people_can_read_is_kept_without_its_blanks(reason):
    assert worded(reason, command="rollback", needed=True) == reason.strip()
    assert worded("", command="opt-in", needed=False) == ""


@pytest.mark.parametrize(("text", "days"), [("7d", 7), ("14d", 14), ("12h", 0.5), ("13d23h60m", 14)])
def test_a_rollback_lasts_for_any_length_up_to_the_bound(text, days):
    assert lasting(text, flag="--until") == timedelta(days=days)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("0s", "MU3405"),
        ("-1d", "MU3405"),
        ("14d1s", "MU3405"),
        ("500d", "MU3405"),
        ("soon", "MU1001"),
        ("", "MU1001"),
        ("2026-11-01", "MU1001"),
        ("2999-01-01T00:00:00Z", "MU1001"),
    ],
)
def test_any_other_length_is_refused_with_the_bound_and_an_example(text, code):
    with pytest.raises(UsageError) as refused:
        lasting(text, flag="--until")
    assert refused.value.code == code
    assert "at most 14" in refused.value.what
    assert "--until 7d" in refused.value.fix
    assert ("it is a date" in refused.value.why) is (text[:1] == "2")


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
        (["rollback", "cart", "--to", "1.0", "--reason", "r", "--until", "0s"], "MU3405"),
        (["rollback", "cart", "--to", "1.0", "--reason", "r", "--until", "-1d"], "MU3405"),
        (["opt-out", "cart", "--reason", "x" * 257], "MU1013"),
        (["releases", "block", "1.0"], "MU1013"),
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
