"""What `init --ci` writes goes as it stands there: each script of each job, in order, in the shell its runner uses."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import Person
from pipelines import HEARD, GitHub, GitLab, Review

pytestmark = pytest.mark.e2e

SYSTEMS = {"github": (GitHub, ".github/workflows/meshup.yml"), "gitlab": (GitLab, ".gitlab-ci.yml")}
ORDER = ["preflight", "ingress", "onboard", "mtls", "strict", "minimise"]
SECRET = "not-for-any-log-9f31c0"
GATE = "      - {guard-armed: {}}\n"


@pytest.fixture
def review() -> Iterator[Review]:
    made = Review()
    yield made
    made.close()


@pytest.fixture(params=list(SYSTEMS))
def repository(request: pytest.FixtureRequest, person: Person, review: Review) -> Callable[[], GitHub | GitLab]:
    """Make the repository of a person who has a cluster and a runbook: its pipeline, written by the command."""

    def make() -> GitHub | GitLab:
        kind, path = SYSTEMS[request.param]
        person.meshup("init", "--ci", request.param)
        (work := person.home / "runner").mkdir()
        assert person.kubeconfig is not None
        env = {key: value for key, value in person.env.items() if key != "KUBECONFIG"}
        kubeconfig = person.kubeconfig.read_text() + f"\n# {SECRET}\n"
        return kind(file=person.home / path, env=env, work=work, kubeconfig=kubeconfig, review=review)

    return make


def codes(of: GitHub | GitLab) -> dict[str, int]:
    """Give how each stage's job ended, by meshup's own code; those that did not run are not there."""
    found = {}
    for stage in ORDER:
        job = of.ended.get(of.stage(stage))
        if job is not None:
            found[stage] = int(job.outputs.get("exit") or job.outputs["MESHUP_EXIT"])
    return found


def kept(of: GitHub | GitLab) -> list[Path]:
    return [each for each in of.work.rglob("*") if each.is_file() and each.name not in ("kubeconfig", "script.sh")]


def nothing_leaked(of: GitHub | GitLab) -> None:
    for name, job in of.ended.items():
        assert SECRET not in job.log + job.summary, name
        assert "comment-token" not in job.log, name
    assert [each for each in kept(of) if SECRET in each.read_text("utf-8", "replace")] == []


def test_a_review_gets_one_comment_and_the_whole_rollout_goes_stage_by_stage_with_an_approval_between(
    simulator: Callable[..., Person], repository: Callable[[], GitHub | GitLab], review: Review
) -> None:
    shop = simulator("--scenario", "shop")
    shop.kubectl("annotate", "cronjob", "reports", "-n", "data", "meshup.dev/opt-in=dan 2026-11-02T09:00:00Z")
    shop.meshup("init")
    path = shop.home / "meshup.yaml"
    text = path.read_text("utf-8")
    assert GATE in text
    path.write_text(text.replace(GATE, "      - {approval: {}}\n" + GATE))
    project = repository()
    before = shop.mutations()
    for _ in range(2):
        ended = project.run("pull_request")
        assert {name: job.code for name, job in ended.items()} == {"plan": 0}, ended["plan"].log
    (comment,) = review.ours()
    assert comment.startswith("<!-- meshup plan -->\n### meshup plan `")
    assert sum(each.startswith(("PATCH", "PUT")) for each in review.asked) == 1
    assert shop.mutations() == before, "a review changes nothing"

    ended = project.run("push")
    assert codes(project) == dict.fromkeys(ORDER[:4], 0) | {"strict": 5} | (
        {"minimise": 5} if isinstance(project, GitLab) else {}
    ), str(ended)
    assert ended[project.stage("strict")].ok
    given = ended[project.stage("strict")].outputs
    assert any("meshup approve strict" in value for value in given.values()), given
    shop.meshup("approve", "strict", "--as", "ben", "--as-group", "system:masters")
    project.again(project.stage("strict"))
    assert codes(project) == dict.fromkeys(ORDER, 0), str(project.ended)
    before = shop.mutations()
    project.again(project.stage("minimise"))
    assert codes(project) == dict.fromkeys(ORDER, 0)
    assert shop.mutations() == before, "a finished stage, run again, writes nothing"
    nothing_leaked(project)


def test_a_stage_that_is_held_is_red_and_no_later_one_begins(
    simulator: Callable[..., Person], repository: Callable[[], GitHub | GitLab]
) -> None:
    shop = simulator("--scenario", "shop")
    shop.meshup("init")
    project = repository()
    ended = project.run("push")
    assert codes(project) == dict.fromkeys(ORDER[:4], 0) | {"strict": 3}, str(ended)
    job = ended[project.stage("strict")]
    assert (job.code, job.ok) == (3, False)
    assert red(project, "strict")
    assert "CronJob data/reports" in job.log
    if isinstance(project, GitHub):
        assert "::error title=strict/workload/plaintext-callers::" in job.log
        assert "### meshup run" in job.summary
    nothing_leaked(project)


def test_a_wave_that_is_taken_back_is_red_and_what_came_before_it_stays(
    simulator: Callable[..., Person], repository: Callable[[], GitHub | GitLab]
) -> None:
    shop = simulator("--fault", "server-first:shop/catalog")
    shop.meshup("init")
    project = repository()
    ended = project.run("push")
    assert codes(project) == {"preflight": 0, "ingress": 0, "onboard": 4}, str(ended)
    assert not ended[project.stage("onboard")].ok
    assert red(project, "onboard")
    assert not red(project, "ingress")
    status = shop.meshup("status", "-o", "json").document()
    assert {each["how"] for each in status["places"] if each["place"] == "ingress"} == {"done"}
    nothing_leaked(project)
    shop.meshup("simulator", "mend", "server-first:shop/catalog")
    project.again(project.stage("onboard"))
    assert codes(project) == dict.fromkeys(ORDER[:4], 0) | {"strict": 3}, "once it is mended, the same job goes on"
    assert not red(project, "onboard")


def test_a_cluster_that_is_gone_is_told_to_later_steps_too(
    simulator: Callable[..., Person], repository: Callable[[], GitHub | GitLab]
) -> None:
    shop = simulator("--scenario", "shop")
    shop.meshup("init")
    project = repository()
    shop.meshup("simulator", "stop")
    ended = project.run("push")
    assert list(ended) == ["plan"]
    assert (ended["plan"].code, ended["plan"].ok) == (7, False)
    if isinstance(project, GitHub):
        assert "::error title=MU7" in ended["plan"].log
        heard = [line for line in ended["plan"].log.splitlines() if HEARD.search(line)]
        assert len([line for line in heard if not line.startswith("::warning file=meshup.yaml")]) == 1, heard
    nothing_leaked(project)


def red(project: GitHub | GitLab, stage: str) -> bool:
    """Tell whether the newest JUnit file of a stage has a failure; every suite and case in it is whole."""
    name = project.stage(stage).replace(":", "-")
    newest = max(project.work.glob(f"{name}-*/gates.xml"), key=lambda each: each.stat().st_mtime_ns)
    root = ET.parse(newest).getroot()
    bad = [case for case in root.iter("testcase") if case.find("failure") is not None or case.find("error") is not None]
    assert int(root.get("failures", "")) + int(root.get("errors", "")) == len(bad)
    return bool(bad)


@pytest.fixture(scope="module")
def sarif_schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The schema of SARIF 2.1.0, from a package that carries it."""
    if shutil.which("npm") is None:
        pytest.skip("npm, which fetches the schema of SARIF, is not on this machine")
    folder = tmp_path_factory.mktemp("sarif")
    command = ["npm", "pack", "--silent", "@microsoft/jest-sarif@1.0.0-beta.0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(folder.glob("*.tgz"))) as file:
        inside = file.extractfile("package/lib/schemas/sarif-2.1.0-rtm.5.json")
        assert inside is not None
        return json.load(inside)


def test_findings_are_sarif_by_its_schema_each_at_a_line(shop: Person, sarif_schema: Any) -> None:
    validator = jsonschema.validators.validator_for(sarif_schema)(sarif_schema)
    shop.meshup("init")
    path = shop.home / "meshup.yaml"
    text = path.read_text("utf-8")
    good = ["plan", "--report", "sarif=good.sarif"]
    shop.meshup(*good)
    (shop.home / "a b%.yaml").write_text(text.replace("owner:", "ownr:", 1))
    for command in ("lint", "plan"):
        shop.meshup(command, "-f", "a b%.yaml", "--report", f"sarif={command}.sarif", code=2)
    shop.kubectl("label", "namespace", "shop", "istio.io/rev=1-29-4", "--overwrite")
    shop.meshup("plan", "--report", "sarif=blocked.sarif", code=None)
    found = {}
    for name in ("good", "lint", "plan", "blocked"):
        document = json.loads((shop.home / f"{name}.sarif").read_text("utf-8"))
        assert [each.message for each in validator.iter_errors(document)] == [], name
        (run,) = document["runs"]
        found[name] = run["results"]
        assert all(each["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1 for each in found[name])
    assert {each["ruleId"] for each in found["good"]} == {"unjudged"}
    assert {each["ruleId"] for each in found["blocked"] if each["level"] == "error"}, (
        "a label that wins blocks the plan"
    )
    assert found["lint"] == found["plan"]
    wrong = next(each for each in found["lint"] if each["level"] == "error")["locations"][0]["physicalLocation"]
    number = text.splitlines().index(next(line for line in text.splitlines() if "owner:" in line)) + 1
    assert (wrong["artifactLocation"]["uri"], wrong["region"]["startLine"]) == ("a%20b%25.yaml", number)
