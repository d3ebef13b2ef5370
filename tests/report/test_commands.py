"""The commands through the front of the embedded cluster: export, verify, prune, and a report of one, two or no clusters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from test_holds import pin

from meshup.cli.connect import Aim, door
from meshup.cli.main import main
from meshup.cluster.door import Cluster
from meshup.journal.ledger import advance, pins, record
from meshup.simulate.http import Front
from meshup.simulate.scenario import load as scene

CORNER = str(Path(__file__).parents[1] / "views" / "corner.yaml")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster with three pins: one in effect, one overdue, one closed 500 days ago."""
    front = Front(scene(CORNER).server, speed=0).start()
    clusters = [
        {"name": "here", "cluster": {"server": front.url}},
        {"name": "gone", "cluster": {"server": "http://127.0.0.1:1"}},
    ]
    contexts = [{"name": each["name"], "context": {"cluster": each["name"], "user": "ana"}} for each in clusters]
    config = {
        "clusters": clusters,
        "contexts": contexts,
        "users": [{"name": "ana", "user": {}}],
        "current-context": "here",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    made = door(Aim())
    made.whoami()
    now = made.clock.now()
    for name, began, phase in (("cart", -1, "Active"), ("web", -20, "Active"), ("search", -510, "Closed")):
        since = now + timedelta(days=began)
        each = pin(name, f"{name}-owner", since=since, until=since + timedelta(days=10), phase="Requested")
        kept = advance(made, record(made, each, pause=made.clock.sleep), "Active")
        if phase == "Closed":
            advance(made, kept, "Closed", by="ana", at=(since + timedelta(days=5)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    yield made
    front.stop()


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    got = main(arguments)
    out = capsys.readouterr()
    assert got == code, out.out + out.err
    return out.out


def test_an_export_is_sound_and_a_report_of_it_is_that_of_the_cluster(cluster: Cluster, capsys) -> None:
    said(capsys, "ledger", "export", "--out", "l.jsonl")
    assert json.loads(said(capsys, "ledger", "verify", "l.jsonl", "-o", "json"))["records"] == 3
    live = json.loads(said(capsys, "report", "-o", "json"))
    kept = json.loads(said(capsys, "report", "--ledger", "l.jsonl", "-o", "json"))
    assert [row["name"] for row in kept["rollbacks"]] == [row["name"] for row in live["rollbacks"]]
    assert len(kept["rollbacks"]) == 3
    Path("l.jsonl.index").unlink()
    assert json.loads(said(capsys, "report", "--ledger", "l.jsonl", "-o", "json")) == kept


def test_an_export_speaks_as_of_its_end_and_passes_no_release(cluster: Cluster, capsys) -> None:
    said(capsys, "ledger", "export", "--out", "l.jsonl")
    sealed = json.loads(said(capsys, "ledger", "verify", "l.jsonl", "-o", "json"))["at"]
    kept = json.loads(said(capsys, "report", "--ledger", "l.jsonl", "-o", "json"))
    assert (kept["at"], kept["complete"], kept["clusters"][0]["looked"]) == (sealed, False, False)
    assert {each["verdict"]["answer"] for each in kept["releases"]} == {"unknown"}
    assert [row["service"] for row in kept["rollbacks"] if row["overdue"]] == ["shop/web"]
    for output in ("text", "md", "html"):
        shown = said(capsys, "report", "--ledger", "l.jsonl", "-o", output)
        assert f"as of {sealed}" in shown
        assert "l.jsonl: what runs there: an export holds no pods" in shown
    assert said(capsys, "report", "--ledger", "l.jsonl", "-o", output) == shown
    said(capsys, "report", "--ledger", "l.jsonl", "--check", code=3)
    for number in range(3):
        began = cluster.clock.now() - timedelta(days=1)
        each = pin(f"s{number}", f"u{number}", since=began, until=began + timedelta(days=3), phase="Requested")
        advance(cluster, record(cluster, each, pause=cluster.clock.sleep), "Active")
    said(capsys, "ledger", "export", "--after", "l.jsonl")
    held = json.loads(said(capsys, "report", "--ledger", "l.jsonl", "-o", "json"))
    assert [each["verdict"]["answer"] for each in held["releases"] if each["release"] == "1.30.3"] == ["hold"]


def test_a_release_that_nobody_knows_has_no_report(cluster: Cluster, capsys) -> None:
    said(capsys, "ledger", "export", "--out", "l.jsonl")
    for more in ([], ["--ledger", "l.jsonl"]):
        assert main(["report", "--version", "9.9.9", *more]) == 2
        error = capsys.readouterr().err
        assert "MU1032" in error
        assert "known are: " in error
        assert "1.30.3" in error
        said(capsys, "report", "--version", "1.30.3", *more)
        said(capsys, "report", "--version", "none", *more)
    gone = ["--context", "here", "--context", "gone"]
    assert "unknown" in said(capsys, "report", "--version", "9.9.9", *gone), "the other cluster may know it"


def test_check_ends_with_3_for_what_is_overdue_whatever_the_format(cluster: Cluster, capsys) -> None:
    for output in ("text", "json", "md", "html"):
        assert "web" in said(capsys, "report", "--check", "-o", output, code=3)
    web = next(each for each in pins(cluster) if each.service == "web")
    advance(cluster, web, "Closed")
    said(capsys, "report", "--check", code=3)
    said(capsys, "init")
    said(capsys, "report", "--check")
    Path("meshup.yaml").write_text("no runbook")
    said(capsys, "report", "--check", code=2)


def test_of_two_clusters_one_that_does_not_answer_is_unknown(cluster: Cluster, capsys) -> None:
    told = said(capsys, "report", "--context", "here", "--context", "gone", "--check", code=3)
    assert "at least 0 services on 1 of 2 clusters" in told
    assert "unknown   gone" in told
    assert "cart" in told
    said(capsys, "report", "--context", "gone", code=7)
