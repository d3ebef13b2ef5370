"""Rules of the plainest text: columns, spans, errors with a caret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from meshup.model.problem import Problem, Refused, UsageError, Where
from meshup.views.problem import error, error_document
from meshup.views.spans import bounds, span
from meshup.views.table import columns


def test_columns_line_up_and_leave_no_trailing_blanks() -> None:
    text = columns([("a", "bb", "c"), ("long", "b", "")], header=("one", "two", "three"))
    assert text.splitlines() == ["one   two  three", "a     bb   c", "long  b"]


def test_the_last_column_folds_below_itself() -> None:
    text = columns([("a", "one two three four five six seven")], width=24)
    assert all(len(line) <= 24 for line in text.splitlines())
    assert all(line.startswith("   ") for line in text.splitlines()[1:])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0ms"), (0.25, "250ms"), (12, "12s"), (250, "4m10s"), (3600, "1h"), (90061, "1d1h"), (604800, "7d")],
)
def test_a_span_is_said_in_at_most_two_units(seconds: float, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("lasts", "said"),
    [
        (timedelta(hours=2), ("02 Nov 2026 09:07", "02 Nov 2026 11:07 (2h)")),
        (timedelta(days=1, hours=6), ("02 Nov 2026 09:07", "03 Nov 2026 15:07 (1d6h)")),
        (timedelta(days=7), ("02 Nov 2026", "09 Nov 2026")),
    ],
)
def test_what_lasts_less_than_two_days_is_told_by_the_minute(lasts: timedelta, said: tuple[str, str]) -> None:
    since = datetime(2026, 11, 2, 9, 7, 4, tzinfo=UTC)
    assert bounds(since, since + lasts) == said


def test_an_error_in_a_runbook_shows_the_line_with_a_caret(golden: Callable[[str, str], None]) -> None:
    at = Where(file="meshup.yaml", line=61, column=11, source="          critcal: true", width=7)
    problem = Problem(
        code="MU1203",
        what='unknown field "critcal" in service "orders"',
        at=at,
        hint='did you mean "critical"?',
        fix="correct line 61, then: meshup lint",
    )
    stopped = UsageError("1 problem", code="MU1203", fix="meshup lint", problems=(problem,))
    golden("error-field.txt", error(stopped))


def test_a_stale_plan_names_object_field_and_manager(golden: Callable[[str, str], None]) -> None:
    stopped = Refused(
        "the plan is stale: 2 of 94 planned fields moved since 14:02",
        code="MU2201",
        fix="meshup plan --out release.plan.json",
        details=(
            'Deployment shop/orders    label istio.io/rev changed by "argocd" at 14:31',
            'Deployment shop/cart      label istio.io/rev removed by "kubectl-edit" at 14:40',
        ),
        cluster="nothing changed, lock released",
    )
    golden("error-stale.txt", error(stopped))
    assert error_document(stopped)["exit"] == 6
