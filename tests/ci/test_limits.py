"""Rules of size: a summary or comment stays below its limit, ends at a row, and says what was left out and where it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from story import chapters

from meshup.cli import reports
from meshup.model.events import Outcome
from meshup.model.plan import Plan
from meshup.views.markdown import COMMENT, SUMMARY, items, table
from meshup.views.plan_md import markdown as plan_markdown
from meshup.views.run_md import SHORTEST
from meshup.views.run_md import markdown as run_markdown


def long_run(count: int = 30_000) -> Outcome:
    stop = chapters()["exit-4"]
    assert isinstance(stop, Outcome)
    one = stop.judgements[-1]
    many = tuple(
        replace(one, judged=replace(one.judged, gate=f"onboard/wave-{number}/success-rate")) for number in range(count)
    )
    return replace(
        stop,
        judgements=many,
        places=tuple((f"onboard/wave-{n}", "done") for n in range(count)),
        details=("x" * 900,) * 900,
    )


def whole(text: str) -> None:
    """Check that every table ends whole: each line that begins a row ends it, and has the cells of its head."""
    wide = 0
    for line in text.splitlines():
        if not line.startswith("|"):
            wide = 0
            continue
        assert line.endswith(" |"), line[-80:]
        cells = line.replace("\\|", "").count("|")
        assert wide in (0, cells), line[:80]
        wide = cells


@pytest.mark.parametrize("room", [SHORTEST, 10_000, COMMENT, 500_000, SUMMARY])
def test_a_long_run_fits_and_is_cut_between_rows(room: int) -> None:
    made = run_markdown(long_run(), room=room)
    assert len(made.encode()) < room
    whole(made)
    assert "more rows were cut; `--report json=FILE` has them" in made
    assert made.splitlines()[-1].startswith("**Next** `")
    assert "onboard/wave-0/success-rate" in made


@pytest.mark.parametrize("room", [-5, 0, 10, 40, 200, SHORTEST - 1])
def test_where_there_is_no_room_there_is_a_pointer_or_nothing(room: int) -> None:
    made = run_markdown(long_run(3), room=room)
    assert len(made.encode()) < max(room, 1)
    assert made == "" or "the log has the rest" in made


def test_a_plan_of_thousands_of_changes_is_a_comment() -> None:
    plan = chapters()["plan"]
    assert isinstance(plan, Plan)
    first = plan.stages[1]
    wave = replace(first.waves[0], changes=first.waves[0].changes * 2_000)
    long = replace(plan, stages=(replace(first, waves=(wave,)), *plan.stages[2:]), notes=("note " * 50,) * 3_000)
    made = plan_markdown(long)
    assert COMMENT // 2 < len(made.encode()) < COMMENT
    whole(made)
    assert made.endswith("\n</details>")
    assert "more rows were cut; `meshup show` of the saved plan has them" in made
    assert "more were cut; `meshup show` of the saved plan has them" in made


def test_summaries_of_one_step_share_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, outputs = tmp_path / "summary", tmp_path / "outputs"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    stop = long_run()
    github = reports.GitHub(summary=lambda room: run_markdown(stop, room=room), values={"exit": "4"}, annotations=())
    for _ in range(4):
        reports.write(reports.asked(["github"], ("github",)), {}, github=github)
        whole(path.read_text())
    assert SUMMARY // 2 < path.stat().st_size <= SUMMARY
    assert outputs.read_text().count("exit<<meshup-") == 4


def test_what_is_cut_is_counted_exactly() -> None:
    lines = table(("a",), [(str(number),) for number in range(100)], room=120, rest="there")
    shown = sum(line.startswith("| ") for line in lines) - 1
    assert lines[-1] == f"{100 - shown - lines[1].startswith('| ---')} more rows were cut; there" or shown < 100
    assert int(lines[-1].split()[0]) + sum(line.strip("| ").isdigit() for line in lines) == 100
    few = items([f"- {number}" for number in range(100)], room=30, rest="there")
    assert int(few[-1].split()[1]) + len(few) - 1 == 100
