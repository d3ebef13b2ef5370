"""What a cluster, an owner or a file name says stays text: no command of a runner, no markup, no line too many."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from story import chapters

from e2e.pipelines import outputs_of
from meshup.cli import reports
from meshup.cli.ending import FORMATS, show
from meshup.cli.screen import Screen
from meshup.model.events import Outcome
from meshup.model.plan import Plan
from meshup.model.problem import Problem, Where
from meshup.model.text import unheard
from meshup.views import ci
from meshup.views.junit import junit
from meshup.views.markdown import code, plain
from meshup.views.plan_md import markdown as plan_markdown
from meshup.views.problem_md import markdown as problem_markdown
from meshup.views.run_md import markdown as run_markdown
from meshup.views.sarif import sarif

BAD = [
    "a\nb",
    "a\r\n::set-output name=exit::0",
    "::stop-commands::x",
    "  ::add-mask::a",
    "##[add-matcher]x",
    "x ##[set-env name=PATH]y",
    "%0A::error::x",
    "`rm -rf`",
    "``` \n x",
    "| a | b |",
    "\\| a \\",
    "</details>",
    "<script>alert(1)</script>",
    "<!-- meshup plan -->",
    "![x](http://evil.example/p.png)",
    "[x](javascript:alert(1))",
    "https://evil.example",
    "@shop/everyone #12 !7",
    "/close",
    "$(touch here)",
    "'\"; exit 0 #",
    "]]>",
    "EOF",
    "\x1b[31m\u202e\x00",
    "&lt;b&gt;",
    "# heading",
    "---",
    "- [ ] task",
]
ANY = st.one_of(st.sampled_from(BAD), st.text(max_size=40), st.lists(st.sampled_from(BAD), max_size=4).map("".join))
HEARD = re.compile(r"^\s*::|##\[", re.MULTILINE)


def bad_run(text: str) -> Outcome:
    """A run that was taken back, with a text wherever one comes from outside."""
    stop = chapters()["exit-4"]
    assert isinstance(stop, Outcome)
    told = tuple(
        replace(each, judged=replace(each.judged, gate=text, verdict=replace(each.judged.verdict, because=text)))
        for each in stop.judgements
    )
    further = {"why": text, "details": (text, text), "likely": text, "kept": text, "next": (text,), "stopped": text}
    return replace(stop, judgements=told, places=((text, text),), code=text, **further)


def bad_plan(text: str) -> Plan:
    plan = chapters()["plan"]
    assert isinstance(plan, Plan)
    finding = Problem(code="MU1", what=text, fix=text, at=Where(object=text))
    return replace(plan, runbook=text, notes=(text,), blocked=(finding,), unjudged=((text, text),), one_way=(text,))


def bad_problem(text: str) -> Problem:
    return Problem(code=text, what=text, fix=text, at=Where(file=text or "x", line=1, column=2))


def tokens(text: str) -> list[str]:
    """Give what a reader of Markdown makes of a text, flat."""
    found = []
    for each in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text):
        found.append(each.type)
        found += [one.type for one in each.children or ()]
    return found


SHAPES: dict[str, Callable[[str], str]] = {
    "run": lambda text: run_markdown(bad_run(text)),
    "plan": lambda text: plan_markdown(bad_plan(text)),
    "lint": lambda text: problem_markdown([bad_problem(text)]),
}


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("text", BAD)
def test_a_text_changes_no_shape_of_a_summary(shape: str, text: str) -> None:
    usual, made = SHAPES[shape]("usual"), SHAPES[shape](text)
    assert len(made.splitlines()) == len(usual.splitlines())
    shapes = [[each for each in tokens(one) if each != "text_special"] for one in (usual, made)]
    assert [each for each in shapes[1] if each in ("html_inline", "html_block")] == [
        each for each in shapes[0] if each in ("html_inline", "html_block")
    ]
    assert not {"link_open", "image", "em_open", "strong_open", "s_open", "fence"} & (set(shapes[1]) - set(shapes[0]))
    assert shapes[1].count("tr_open") == shapes[0].count("tr_open")
    assert shapes[1].count("td_open") == shapes[0].count("td_open")
    read = re.sub(r"`[^`]*`", "", made)
    assert read.count("</details>") == usual.count("</details>")
    assert "<!--" not in read
    assert "://" not in read
    assert not re.search(r"^\s*/\w", made, re.MULTILINE), "a line that begins with / is a command on GitLab"


@given(ANY)
def test_a_cell_is_one_line_without_anything_a_reader_obeys(text: str) -> None:
    for made in (plain(text), code(text)):
        assert "\n" not in made
        assert not re.search(r"(?<!\\)\|", made)
    kinds = set(tokens(f"x {plain(text)} x")) - {"text", "text_special", "entity"}
    assert kinds <= {"paragraph_open", "inline", "paragraph_close"}
    inside = [
        each for each in tokens(f"x {code(text)} x") if each in ("code_inline", "html_inline", "link_open", "em_open")
    ]
    assert inside in ([], ["code_inline"])


def test_nobody_is_called_and_nothing_is_linked() -> None:
    assert plain("@shop/everyone") == "@&#8203;shop/everyone"
    assert plain("ana@shop.example") == "ana@shop.example"
    assert plain("see #12") == "see #&#8203;12"
    assert plain("https://x.example") == "https:/&#47;x.example"


@given(ANY)
def test_outputs_are_read_back_as_they_were_meant(text: str) -> None:
    values = ci.values_of_run(bad_run(text))
    assert all("\n" not in each for key, each in values.items() if key == "next")
    written = ci.outputs(values, mark="meshup-0123")
    if not any("\r" in each for each in values.values()):
        assert outputs_of(written + "\n") == values


def test_a_value_that_holds_the_mark_is_never_written() -> None:
    with pytest.raises(ValueError, match="mark"):
        ci.outputs({"next": "x\nmark\nexit=0"}, mark="mark")


@given(ANY)
def test_an_annotation_is_one_command_and_no_more(text: str) -> None:
    for line in (*ci.run_annotations(bad_run(text)), *ci.problem_annotations([bad_problem(text)] * 12)):
        assert "\n" not in line
        assert "\r" not in line
        found = re.fullmatch(r"::(error|notice|warning)( [^:]*)?::(.*)", line)
        assert found, line
        assert re.fullmatch(
            r"(?: (?:file|line|col|title)=[^,]*(?:,(?:file|line|col|title)=[^,]*)*)?", found[2] or ""
        ), line
        assert not re.search(r"%(?!25|0D|0A|3A|2C)", found[3]), line


@given(ANY)
def test_variables_are_lines_that_a_shell_takes_for_nothing_else(text: str) -> None:
    made = ci.dotenv(ci.values_of_run(bad_run(text)))
    assert len(made.splitlines()) == 7
    assert all(re.fullmatch(r"MESHUP_[A-Z_]+=[A-Za-z0-9 ._/:;,=+@%-]*", line) for line in made.splitlines()), made


@pytest.mark.parametrize("text", BAD)
def test_a_shell_that_evaluates_them_gets_one_word(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.env").write_text(ci.dotenv(ci.values_of_run(bad_run(text))))
    script = 'while IFS= read -r line; do eval "export ${line%%=*}=\\"${line#*=}\\""; done < run.env; ls'
    done = subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "run.env\n"), done.stderr


@given(ANY)
def test_junit_and_sarif_stay_documents(text: str) -> None:
    root = ET.fromstring(junit(bad_run(text)))
    assert sum(1 for _ in root.iter("testcase")) == int(root.get("tests", ""))
    document = json.loads(sarif([bad_problem(text)]))
    (result,) = document["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"(file:/)?[A-Za-z0-9/._~%-]*", uri), uri


@given(ANY)
def test_a_runner_finds_no_command_in_a_screen(text: str) -> None:
    for each in (text, f"x\n{text}", json.dumps({"why": text}, ensure_ascii=False)):
        assert not HEARD.search(unheard(each).replace("#\\u0023[", ""))
    assert json.loads(unheard(json.dumps({"why": text}, ensure_ascii=False))) == {"why": text}


@pytest.mark.parametrize("output", ["text", "json", "events"])
@pytest.mark.parametrize("text", ["a\n::set-output name=exit::0", "##[set-output name=exit;]0", " ::add-path::x"])
def test_a_whole_ending_on_a_runner_holds_our_own_commands_alone(
    output: str, text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        (tmp_path / name).touch()
        monkeypatch.setenv(name, str(tmp_path / name))
    further = reports.asked(["github", *(f"{each}={tmp_path / each}" for each in FORMATS if each != "github")], FORMATS)
    look = Screen(color=False, width=80, interactive=False, heard=True)
    assert show(bad_run(text), screen=look, output=output, further=further) == 4
    said = capsys.readouterr()
    assert not HEARD.search(said.out), said.out
    ours = [line for line in said.err.splitlines() if HEARD.search(line)]
    assert ours == [line for line in ci.run_annotations(bad_run(text))]
    assert outputs_of((tmp_path / "GITHUB_OUTPUT").read_text())["exit"] == "4"


def test_sarif_names_a_place_for_every_finding() -> None:
    """Rules of code scanning (GitHub's docs, SARIF support): without a location in a file a result is refused."""
    found = sarif(
        [Problem(code="MU1", what="x", fix="y"), Problem(code="MU2", what="x", fix="y", at=Where(object="Pod a/b"))]
    )
    places = [each["locations"][0]["physicalLocation"] for each in json.loads(found)["runs"][0]["results"]]
    assert [each["artifactLocation"]["uri"] for each in places] == ["meshup.yaml", "meshup.yaml"]
    jsonschema.validate(places[0]["region"], {"required": ["startLine"], "properties": {"startLine": {"minimum": 1}}})
