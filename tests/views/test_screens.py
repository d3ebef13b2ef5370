"""Every screen as a golden file at 80 and 120 columns, from values that the story of the corner shop left behind."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from story import CORNER, chapters

from meshup.cli.ending import FORMATS, show
from meshup.cli.kinds import kinds
from meshup.cli.main import main
from meshup.cli.screen import Screen
from meshup.cli.telling import Lines, watcher
from meshup.engine.undo import as_kubectl
from meshup.journal.forging import ALTERING
from meshup.model.characteristic import Characteristic, Cost, Trial, Whole
from meshup.model.events import Outcome, Waits
from meshup.model.plan import Plan
from meshup.model.replayed import Again, Replay
from meshup.model.shipped import shipped
from meshup.model.standing import Rehearsal
from meshup.model.verdict import Answer, Verdict
from meshup.runbook.load import load
from meshup.simulate.http import Front
from meshup.simulate.scenario import load as scene
from meshup.views import characteristic as judged
from meshup.views import ci, installed, optin, owner, standing, unpin
from meshup.views import init as first
from meshup.views import pipeline as pipelines
from meshup.views import plan as planned
from meshup.views import releases as released
from meshup.views import replay as replayed
from meshup.views import report as reported
from meshup.views import upgrade as upgrading
from meshup.views.junit import junit
from meshup.views.plan_md import markdown as plan_markdown
from meshup.views.problem import error, error_document, findings
from meshup.views.problem_md import markdown as problem_markdown
from meshup.views.report_html import page
from meshup.views.report_md import markdown
from meshup.views.run import ending, line, outcome_document, record
from meshup.views.run_md import markdown as run_markdown
from meshup.views.sarif import findings_of, sarif

Golden = Callable[[str, str], None]

MISTAKES = b"""apiVersion: meshup.dev/v1
kind: Runbook
metadata: {name: corner}
mesh: {driver: istio, release: 1.30, revision: 1-30-3, namespace: istio-system, manifests: {from: stand-in}}
services:
  - {name: cart, namespace: shop, workload: Deployment/cart, owner: team-cart, critcal: true}
waves:
  - {name: wave-1, services: [shop/cart, shop/basket]}
stages:
  - name: onboard
    waves: [wave-1]
    steps: [{enroll: {}}]
    gates:
      - {success-rate: {floor: 99}}
"""

SLOW = Verdict(
    answer=Answer.FAIL, because="2.00% of 16000 against 0.10% of 16000 of requests fail", object="service shop/cart"
)
FEW = Verdict(
    answer=Answer.UNKNOWN, because="not enough data: 400 of 2255 requests, about 19 min more at this rate", missing=1855
)
JUDGED = Again(
    at="2026-11-02T09:00:00Z",
    place="upgrade/first",
    gate="upgrade/first/canary",
    kind="canary",
    was=SLOW,
    now=SLOW,
    readings=9,
)
WENT = Verdict(answer=Answer.FAIL, because="Deployment shop/web: its progress deadline passed")
ROLLED = replace(
    JUDGED, gate="upgrade/second/rollout", kind="rollout", was=WENT, now=None, readings=0, why="no gate made it"
)
AGAIN = Replay(run="20261102-090000-1a2b", plan="sha256:12", verdicts=(JUDGED, ROLLED))
TRIED = replace(AGAIN, verdicts=(replace(JUDGED, now=FEW, tried=True),), terms=("canary.least=2255",))
OFTEN = Characteristic(
    seed=7,
    services=6,
    waves=3,
    looks=20,
    metrics=("errors", "latency", "cpu"),
    passed=160,
    held=38,
    trials=(
        Trial(what="nothing is wrong", word="stopped", runs=200, hits=2, bound=0.02, at_least=False),
        Trial(
            what="errors 0.1 to 1 %, 2,200 requests per arm",
            word="caught",
            runs=200,
            hits=188,
            bound=0.95,
            at_least=True,
            median=1320,
        ),
        Trial(what="fewer requests than are needed", word="unknown", runs=200, hits=200, bound=1.0, at_least=True),
    ),
)
WHOLLY = replace(
    OFTEN,
    trials=(
        *OFTEN.trials,
        Trial(what="whole: nothing is wrong", word="stopped", runs=50, hits=1, bound=0.02, at_least=False),
        Trial(what="whole: errors 1 %", word="caught", runs=5, hits=5, bound=0.95, at_least=True),
    ),
    whole=Whole(
        runs=50,
        through=48,
        held=1,
        seconds=216_000.0,
        requests=42_000_000,
        failed=42_310,
        usual=42_300,
        why=("canary: shop/web: not enough data: 118 of 140 points", "success-rate: shop/cart: 98.91% of 184 requests"),
        costs=(
            Cost(what="errors 1 %", requests=3366, failed=31, slowed=0),
            Cost(what="answers 200 ms slower", requests=1690, failed=0, slowed=1689),
        ),
    ),
)


@pytest.fixture(scope="module")
def told() -> dict:
    return chapters()


def ids() -> dict[str, str]:
    """Ids of plans follow from every byte of them; a golden file shows which plan is meant, not its digest."""
    found: dict[str, str] = {}
    for each in chapters().values():
        name = each.id if isinstance(each, Plan) else each.plan if isinstance(each, Outcome) else ""
        name = each.plan.id if isinstance(each, Rehearsal) else name
        if name and name not in found:
            found[name] = f"plan{len(found) + 1:04d}"
    return found


def even(text: str) -> str:
    """Put ids and digests that change with every release aside, and the chance in the name of a pin."""
    for real, shown in ids().items():
        text = text.replace(real, shown)
    text = re.sub(r"(MeshPin/|MeshPin shop/|\"|/)cart-[0-9a-f]{16}", r"\1cart-0000000000000000", text)
    text = re.sub(r"sha256:plan\w+", lambda found: "sha256:" + "0" * (len(found[0]) - 7), text)
    return re.sub(r"sha256:[0-9a-f]{12,}", lambda found: "sha256:" + "0" * (len(found[0]) - 7), text)


WIDER = {("plan-details", 80): 95, ("rollback-run-dry-run", 80): 86}
"""Screens that names of objects, which are never broken, make wider than the terminal, and by how much."""


def fits(text: str, width: int) -> list[str]:
    """Give the lines that are too wide; a command to be copied is never broken."""
    return [each for each in text.splitlines() if len(each) > width and "meshup " not in each]


def over(each, width: int) -> str:
    return unpin.ended(each.pin, fresh=each.fresh, notes=each.notes, follow=each.next, width=width)


def said(each, width: int) -> str:
    return optin.said(each.word, fresh=each.fresh, notes=each.notes, follow=each.next, width=width)


SCREENS: dict[str, Callable[[dict, int], str]] = {
    "init": lambda told, width: first.text(
        told["init"], filename="meshup.yaml", locked="meshup.lock", objects=13, why=False, width=width
    ),
    "init-why": lambda told, width: first.text(
        told["init"], filename="other.yaml", locked="other.lock", objects=13, why=True, width=width
    ),
    "plan": lambda told, width: planned.text(told["plan"], width=width),
    "plan-details": lambda told, width: planned.text(told["plan"], width=width, saved="p.plan.json", details=True),
    "plan-held": lambda told, width: planned.text(told["plan-held"], width=width),
    "plan-held-critical": lambda told, width: planned.text(told["plan-held-critical"], width=width),
    "plan-ledger": lambda told, width: planned.text(told["plan-ledger"], width=width, details=True),
    "plan-done": lambda told, width: planned.text(told["plan-done"], width=width),
    "plan-owner": lambda told, width: owner.for_service(told["plan"], "shop/cart", width=width),
    "plan-owner-held": lambda told, width: owner.for_service(told["plan-held"], "shop/web", width=width),
    "plan-owner-untouched": lambda told, width: owner.for_service(told["plan"], "shop/search", width=width),
    "rollback-dry-run": lambda told, width: planned.text(told["rollback-plan"], width=width, details=True),
    "rollback-stage-dry-run": lambda told, width: planned.text(told["stage-back"], width=width),
    "rollback-run-dry-run": lambda told, width: planned.text(told["run-back"], width=width, details=True),
    "rehearsal": lambda told, width: standing.rehearsal(told["rehearsal"], scenario="corner", width=width),
    "rehearsal-of-a-copy": lambda told, width: standing.rehearsal(
        told["rehearsal"], scenario="a copy of the cluster", width=width, runbook="meshup.yaml", assumed="traffic"
    ),
    "rehearsal-judge": lambda told, width: judged.text(OFTEN, width=width),
    "rehearsal-judge-whole": lambda told, width: judged.text(WHOLLY, width=width),
    "replay": lambda told, width: replayed.text(AGAIN, width=width),
    "replay-tried": lambda told, width: replayed.text(TRIED, width=width),
    **{
        name: lambda told, width, name=name: standing.rehearsal(told[name], scenario="corner", width=width)
        for name in ("rehearsal-caught", "rehearsal-missed")
    },
    "pins": lambda told, width: standing.pins(*told["pins"], width=width),
    "pins-late": lambda told, width: standing.pins(*told["pins-late"], width=width),
    "pins-none": lambda told, width: standing.pins((), told["pins"][1], width=width),
    "pins-nowhere": lambda told, width: standing.pins((), told["pins"][1], width=width, installed=False),
    "ledger-install": lambda told, width: installed.result(
        state="in force", since=told["pins"][1], why="", unasked=tuple(ALTERING.items())
    ),
    "ledger-install-altered": lambda told, width: installed.result(
        state="altered", since=None, why="ValidatingAdmissionPolicy meshup-kept is not as shipped"
    ),
    "upgrade": lambda told, width: upgrading.text(
        told["upgrade"],
        told["upgrade-plan"],
        filename="meshup-1.31.0.yaml",
        locked="meshup-1.31.0.lock",
        saved="",
        width=width,
    ),
    "releases": lambda told, width: released.releases(told["releases"], width=width),
    "releases-critical": lambda told, width: released.releases(told["releases-critical"], width=width),
    **{
        name: lambda told, width, name=name: released.moved(told[name], width=width)
        for name in ("release-added", "release-promoted", "release-again", "release-blocked")
    },
    **{name: lambda told, width, name=name: said(told[name], width) for name in ("opt-in", "opt-in-again", "opt-out")},
    **{name: lambda told, width, name=name: over(told[name], width) for name in ("unpin", "unpin-again")},
    "plan-opted": lambda told, width: planned.text(told["plan-opted"], width=width),
    "plan-owner-early": lambda told, width: owner.for_service(told["plan-opted"], "shop/cart", width=width),
    "report": lambda told, width: reported.text(told["report"], width=width),
    "report-of-one": lambda told, width: reported.text(told["report-of-one"], width=width),
    "report-of-several": lambda told, width: reported.text(told["report-of-several"], width=width),
    **{
        name: lambda told, width, name=name: standing.status(told[name], width=width)
        for name in ("status-3", "status-4", "status-5", "status-through", "status-done", "status-back", "status-opted")
    },
    **{
        f"end-{name}": lambda told, width, name=name: ending(told[name], width=width)
        for name in (
            "done",
            "nothing",
            "through",
            "again",
            "rollback",
            "after-rollback",
            "ran-back",
            "exit-3",
            "exit-4",
            "exit-5",
            "exit-held",
            "exit-8",
            "exit-9",
            "exit-130",
        )
    },
}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_fits_and_ends_with_what_comes_next(told: dict, name: str, width: int, golden: Golden) -> None:
    text = even(SCREENS[name](told, width))
    assert fits(text, WIDER.get((name, width), width)) == []
    last = [each for each in text.splitlines() if not each.startswith(" " * 10)][-1]
    assert last.startswith("Next"), last
    assert "\x1b" not in text
    golden(f"{name}.{width}.txt", text)


STORIES = ("events-4", "events-3", "events-through", "events-rollback", "events-done")


@pytest.mark.parametrize("name", STORIES)
def test_the_story_of_a_run_is_a_line_per_change_of_state(told: dict, name: str, golden: Golden, capsys) -> None:
    screen = Screen(color=False, width=160, interactive=False)
    lines = Lines(screen=screen)
    for event in told[name]:
        lines.tell(event)
    golden(f"{name}.txt", even(capsys.readouterr().err.rstrip("\n")))


def test_with_v_each_change_is_told(told: dict, golden: Golden) -> None:
    golden("events-4-chatty.txt", even("\n".join(filter(None, (line(each, chatty=True) for each in told["events-4"])))))


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_waits_rewrite_their_lines(told: dict, width: int, golden: Golden, capsys) -> None:
    lines = Lines(screen=Screen(color=False, width=width, interactive=True))
    for event in told["events-4"]:
        lines.tell(event)
    text = capsys.readouterr().err.replace("\x1b[", "<ESC[").replace("\r", "<CR>")
    golden(f"events-4-terminal.{width}.txt", even(text.rstrip("\n")))


def test_the_stream_of_events_is_one_object_a_line(told: dict, golden: Golden) -> None:
    golden("events-4.jsonl", even("\n".join(json.dumps(record(each)) for each in told["events-4"])))


def pretty(document: object) -> str:
    return even(json.dumps(document, indent=2, ensure_ascii=False))


def test_documents_for_programs(told: dict, golden: Golden) -> None:
    golden("plan-owner.json", pretty(planned.document(told["rollback-plan"])))
    golden("plan-held.json", pretty(planned.document(told["plan-held"])["held"]))
    golden("run-4.json", pretty(outcome_document(told["exit-4"])))
    golden("status-through.json", pretty(standing.status_document(told["status-through"])))
    golden("report.json", pretty(reported.as_document(told["report-of-several"])))
    golden("releases.json", pretty(released.releases_document(told["releases"])))
    golden("release.json", pretty(released.moved_document(told["release-blocked"])))
    golden("rehearsal-judge.json", pretty(judged.as_document(OFTEN)))
    golden("rehearsal-judge-whole.json", pretty(judged.as_document(WHOLLY)))
    golden("replay.json", pretty(replayed.as_document(TRIED)))
    golden("rehearsal.json", pretty(standing.rehearsal_document(told["rehearsal"], scenario="corner")))
    for name in ("rehearsal-caught", "rehearsal-missed"):
        golden(f"{name}.json", pretty(standing.rehearsal_document(told[name], scenario="corner")))
    rows = (
        ("new", "CustomResourceDefinition meshpins.meshup.dev"),
        ("changed", "ValidatingAdmissionPolicy meshup-kept"),
    )
    at = told["pins"][1]
    golden(
        "ledger-install.json",
        pretty(installed.document(rows, state="in force", since=at, why="", unasked=tuple(ALTERING.items()))),
    )
    golden("ledger-install-dry-run.json", pretty(installed.document(rows, state="", since=None, why="")))
    word = told["opt-in"]
    made = optin.said_document(word.word, fresh=word.fresh, notes=word.notes, follow=word.next)
    golden("opt-in.json", pretty(made))
    golden("error-6.json", pretty(error_document(told["exit-6"])))
    moving = {"filename": "meshup-1.31.0.yaml", "locked": "meshup-1.31.0.lock"}
    golden("upgrade.json", pretty(upgrading.document(told["upgrade"], told["upgrade-plan"], **moving)))
    golden("upgrade.yaml", told["upgrade-text"].rstrip("\n"))
    golden("init.json", pretty(first.document(told["init"], filename="meshup.yaml", locked="meshup.lock")))


def test_reports_for_reviews_and_ci(told: dict, golden: Golden) -> None:
    golden("report.md", even(markdown(told["report-of-several"])))
    golden("report.html", even(page(told["report-of-several"])))
    stop = told["exit-4"]
    golden("plan-held.md", even(plan_markdown(told["plan-held"])))
    golden("plan.md", even(plan_markdown(told["plan"])))
    golden("run-4.md", even(run_markdown(stop)))
    golden("run-4.junit.xml", even(junit(stop)))
    golden("run-4.annotations.txt", even("\n".join(ci.run_annotations(stop))))
    golden("run-4.output.txt", even(ci.outputs(ci.values_of_run(stop), mark="mark")))
    golden("run-4.env", even(ci.dotenv(ci.values_of_run(stop))))
    golden("run-5.junit.xml", even(junit(told["exit-5"])))
    golden("run-8.junit.xml", even(junit(told["exit-8"])))
    golden("plan-held.sarif.json", even(sarif(findings_of(told["plan-held"]), of="plan")))


@pytest.mark.parametrize("system", list(pipelines.FILES))
def test_the_pipeline_of_the_shipped_runbook(system: str, golden: Golden) -> None:
    book = load((shipped("runbooks") / "onboard-istio.yaml").read_bytes(), name="meshup.yaml", kinds=kinds()).runbook
    assert book is not None
    golden(f"pipeline.{system}.yml", pipelines.pipeline(book, system=system, lock="meshup.lock").rstrip("\n"))
    golden(f"pipeline-{system}.txt", pipelines.said(book, system=system, fresh=True, lock="meshup.lock"))
    golden(f"pipeline-{system}.json", pretty(pipelines.document(book, system=system)))


def test_a_way_back_is_printed_as_kubectl_commands(told: dict, golden: Golden) -> None:
    golden("rollback-print.txt", "\n".join(as_kubectl(each.change) for each in told["run-back"].changes()))


def test_nothing_stays_armed_while_a_run_waits_for_a_person(told: dict) -> None:
    assert told["exit-5"].exit == 5
    assert told["armed-5"] == []


def test_refusals(told: dict, golden: Golden) -> None:
    golden("error-exit-6.txt", even(error(told["exit-6"])))
    golden("error-release.txt", even(error(told["release-refused"])))
    golden("error-upgrade.txt", even(error(told["upgrade-too-far"])))
    golden("error-self-approval.txt", even(error(told["self-approval"])))


@pytest.mark.usefixtures("_empty")
def test_who_may_not_is_told_what_is_missing(golden: Golden, capsys, tmp_path) -> None:
    front = Front(scene(str(CORNER)).server, speed=0).start()
    try:
        cluster = [{"name": "corner", "cluster": {"server": front.url}}]
        context = [{"name": "corner", "context": {"cluster": "corner", "user": "nobody"}}]
        user = [{"name": "nobody", "user": {"as": "nobody"}}]
        config = {"clusters": cluster, "contexts": context, "users": user, "current-context": "corner"}
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        assert main(["status", "--kubeconfig", "kubeconfig"]) == 7
        golden("error-exit-7.txt", capsys.readouterr().err.rstrip("\n"))
        assert main(["status", "--kubeconfig", "kubeconfig", "-o", "json"]) == 7
        golden("error-exit-7.json", pretty(json.loads(capsys.readouterr().out)))
    finally:
        front.stop()


def test_every_mistake_of_a_runbook_is_shown_at_its_place(golden: Golden) -> None:
    found = load(MISTAKES, name="meshup.yaml", kinds=kinds()).problems
    golden("lint.txt", findings(found))
    golden("lint.sarif.json", sarif(found))
    golden("lint.md", problem_markdown(found))
    golden("lint.annotations.txt", "\n".join(ci.problem_annotations(found)))


@pytest.fixture
def _empty(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """An empty environment: no home with settings, no variables of the one who runs the tests."""
    for each in list(os.environ):
        if each == "MESHUP_REFRESH_GOLDEN":
            continue
        if each.startswith(("MESHUP_", "XDG_", "KUBE")) or each in ("CI", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
            monkeypatch.delenv(each)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["explain", "strict"],
        ["explain", "success-rate"],
        ["explain", "install-ledger"],
        ["explain", "ledger-enforced"],
        ["explain", "opt-in"],
        ["explain", "MU3112"],
        ["explain", "exit-codes"],
        ["explain", "nosuch"],
        ["config", "show"],
        ["config"],
        ["simulator", "faults"],
        ["simulator", "status"],
        ["simulator", "user", "alice"],
        ["releases", "block", "1.30.3"],
        ["releases", "promote", "1.30.3", "--reason", "x", "--end-of-support", "soon"],
        ["status"],
        ["lint"],
        ["aply"],
    ],
    ids=lambda each: "-".join(each).strip("-") or "welcome",
)
@pytest.mark.usefixtures("_empty")
def test_commands_that_need_no_cluster(arguments: list[str], golden: Golden, capsys, tmp_path) -> None:
    code = main(arguments)
    said = capsys.readouterr()
    text = f"{said.out}{said.err}".replace(str(tmp_path), "HOME")
    golden(f"call-{'-'.join(arguments).replace('--', '') or 'welcome'}.txt", f"{text}exit {code}")


HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b1m\u202e</testcase>\x00"


@pytest.mark.parametrize("output", ["text", "json", "events"])
def test_what_a_cluster_says_commands_no_terminal(told: dict, output: str, capsys, tmp_path) -> None:
    """Text of the cluster's own, an admission webhook's for instance, reaches every format without control bytes."""
    screen = Screen(color=False, width=80, interactive=output == "text")
    stop = replace(told["exit-4"], why=HOSTILE, details=(HOSTILE,), likely=HOSTILE, commands=(HOSTILE,))
    reports = [(each, str(tmp_path / each)) for each in FORMATS]
    tells = watcher(output, screen, chatty=True)
    now = told["pins"][1]
    tells.tell(Waits(at=now, place=HOSTILE, gate="", object=HOSTILE, because=HOSTILE, elapsed_s=1, limit_s=2))
    assert show(stop, screen=screen, output=output, further=reports) == 4
    said = capsys.readouterr()
    written = [Path(path).read_text("utf-8") for _, path in reports]
    for text in (said.out, said.err.replace("\r\x1b[K", ""), *written):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text), text
    assert "owned" in said.out
