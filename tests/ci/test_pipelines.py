"""Rules of the pipelines that `init --ci` writes: valid by the published schemas, pinned, with no right too many."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from check_jsonschema.transforms.gitlab import GITLAB_TRANSFORM

from meshup.cli.config import SETTINGS
from meshup.cli.main import main
from meshup.cli.pipelines import PLAIN
from meshup.model.runbook import Runbook
from meshup.model.shipped import shipped
from meshup.views.pipeline import FILES, pipeline

EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
SCHEMAS = {"github": "github-workflows", "gitlab": "gitlab-ci"}
SHIPPED = shipped("runbooks") / "onboard-istio.yaml"


def book() -> Runbook:
    from meshup.cli.kinds import kinds
    from meshup.runbook.load import load

    found = load(SHIPPED.read_bytes(), name="meshup.yaml", kinds=kinds()).runbook
    assert found is not None
    return found


def written(system: str, of: Runbook | None = None) -> str:
    return pipeline(of or book(), system=system, lock="meshup.lock")


def read(system: str, of: Runbook | None = None) -> Any:
    # "on" is a word to GitHub, and true to this reader.
    found = yaml.safe_load(written(system, of))
    return {"on" if key is True else key: value for key, value in found.items()}


def github_steps(document: Any) -> list[dict[str, Any]]:
    return [step for job in document["jobs"].values() for step in job["steps"]]


def scripts(system: str) -> list[str]:
    if system == "github":
        return [step["run"] for step in github_steps(read(system)) if "run" in step]
    document = read(system)
    jobs = [each for each in document.values() if isinstance(each, dict) and "script" in each]
    return [*document["default"]["before_script"], *(line for job in jobs for line in job["script"])]


@pytest.mark.parametrize("system", list(FILES))
def test_a_pipeline_is_one_by_the_published_schema(system: str) -> None:
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{SCHEMAS[system]}.json"
    schema = json.loads(vendored.read_text("utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    document = read(system)
    if system == "gitlab":
        document = GITLAB_TRANSFORM(document)
    assert [each.message for each in validator.iter_errors(document)] == []


@pytest.mark.parametrize("system", list(FILES))
def test_a_schema_would_say_what_is_wrong(system: str) -> None:
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{SCHEMAS[system]}.json"
    schema = json.loads(vendored.read_text("utf-8"))
    document = read(system)
    broken = document["jobs"]["plan"] if system == "github" else document["plan"]
    broken["timeout-minutes" if system == "github" else "interruptible"] = ["never"]
    assert not jsonschema.validators.validator_for(schema)(schema).is_valid(document)


@pytest.mark.parametrize("system", list(FILES))
@pytest.mark.parametrize("names", [["a"], ["preflight", "on", "null", "1-2", "plan", "image", "no"]])
def test_there_is_one_job_per_stage_in_order_whatever_a_stage_is_called(system: str, names: list[str]) -> None:
    some = replace(book(), stages=tuple(replace(book().stages[0], name=each) for each in names))
    document = read(system, some)
    if system == "github":
        jobs = {name: job for name, job in document["jobs"].items() if name.startswith("stage-")}
        assert [job["name"] for job in jobs.values()] == names
        assert [
            step["env"]["STAGE"] for job in jobs.values() for step in job["steps"] if step.get("id") == "apply"
        ] == names
    else:
        jobs = {name: job for name, job in document.items() if name.startswith("apply:")}
        assert [job["variables"]["STAGE"] for job in jobs.values()] == names
        assert document["stages"] == ["plan", *jobs]
    earlier = ["plan"]
    for name, job in jobs.items():
        assert job["needs"] == earlier, name
        earlier = ["plan", name]


@pytest.mark.parametrize("system", list(FILES))
def test_a_script_holds_no_expression_and_a_checker_of_shells_finds_nothing(system: str) -> None:
    found = scripts(system)
    assert len(found) >= 4
    shell = "bash" if system == "github" else "sh"
    checker = Path(sys.executable).with_name("shellcheck")
    for script in found:
        assert "${{" not in script
        assert "set -x" not in script
        command = [str(checker), "--shell", shell, "--enable", "quote-safe-variables", "-"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_is_pinned_to_a_commit_and_says_its_version() -> None:
    lines = [line for line in written("github").splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not re.search(r"uses: [\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", line)] == []


def test_a_job_has_no_right_that_it_does_not_need() -> None:
    document = read("github")
    assert document["permissions"] == {}
    for name, job in document["jobs"].items():
        wanted = {"contents": "read", "pull-requests": "write", "security-events": "write"} if name == "plan" else {}
        assert job["permissions"] == wanted, name
    assert "pull_request_target" not in written("github")
    assert all(
        step["with"]["persist-credentials"] is False
        for step in github_steps(document)
        if "checkout" in step.get("uses", "")
    )


def test_secrets_reach_scripts_by_their_environment_alone_and_only_where_people_guard_them() -> None:
    document = read("github")
    assert "secrets." not in json.dumps(document.get("env", {}))
    for job in document["jobs"].values():
        assert job["environment"] in ("mesh", "mesh-plan")
        for step in job["steps"]:
            rest = {key: value for key, value in step.items() if key != "env"}
            assert "secrets." not in json.dumps(rest)
            assert "token" not in json.dumps(EXPRESSION.findall(json.dumps(rest)))


def test_two_rollouts_never_interleave_and_none_is_cancelled() -> None:
    document = read("github")
    assert document["concurrency"]["group"].endswith("|| 'meshup' }}")
    assert document["concurrency"]["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"
    lab = read("gitlab")[".apply"]
    assert (lab["resource_group"], lab["interruptible"]) == ("mesh", False)


def test_five_is_neutral_and_every_other_code_is_red() -> None:
    (apply,) = {step["run"] for step in github_steps(read("github")) if step.get("id") == "apply"}
    last = apply.strip().splitlines()[-1]
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130):
        done = subprocess.run(["bash", "-eo", "pipefail", "-c", f"code={code}\n{last}"], check=False)
        assert done.returncode == (0 if code == 5 else code)
    assert read("gitlab")[".apply"]["allow_failure"] == {"exit_codes": [5]}


def test_a_later_job_takes_no_setting_from_the_variables_of_an_earlier_one() -> None:
    from meshup.model.events import Outcome
    from meshup.views.ci import dotenv, values_of_run

    given = {
        line.partition("=")[0] for line in dotenv(values_of_run(Outcome(exit=0, run="", plan="", kind=""))).splitlines()
    }
    assert given & {variable for variable, _ in SETTINGS.values()} == set()
    assert given & set(read("gitlab")["variables"]) == set()


def test_a_checker_of_workflows_finds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "meshup.yml").write_text(written("github"))
    command = [Path(sys.executable).with_name("zizmor"), "--offline", "--no-progress", "--persona", "auditor", tmp_path]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", ["/etc/x.yaml", "../x.yaml", "a/../x.yaml", "${{ x }}.yaml", 'a".yaml', "a\nb.yaml", "a b", ""]
)
def test_a_path_that_is_none_in_the_repository_is_refused(path: str) -> None:
    assert PLAIN.fullmatch(path) is None


def test_a_pipeline_is_written_once_and_not_over_somebody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "mesh.yaml").write_bytes(SHIPPED.read_bytes())
    call = ["init", "--ci", "github", "-f", "./deploy/mesh.yaml"]
    assert main(call) == 0
    assert "wrote     .github/workflows/meshup.yml" in capsys.readouterr().out
    into = tmp_path / ".github" / "workflows" / "meshup.yml"
    assert '  MESHUP_FILENAME: "deploy/mesh.yaml"\n' in into.read_text()
    assert '    paths: ["deploy/mesh.yaml", "deploy/mesh.lock"]\n' in into.read_text()
    assert main(call) == 0
    assert "right     .github" in capsys.readouterr().out
    into.write_text("mine")
    assert main(call) == 2
    assert "error[MU1004]" in capsys.readouterr().err
    assert into.read_text() == "mine"
    assert main([*call, "--force"]) == 0
    assert main(["init", "--ci", "jenkins"]) == 2


@pytest.mark.parametrize("system", list(FILES))
def test_nothing_of_the_template_is_left(system: str) -> None:
    assert re.findall(r"@[A-Z]+@|#@", written(system)) == []
