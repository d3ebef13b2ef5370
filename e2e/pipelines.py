"""The runners of two CI systems, as far as a pipeline of ours needs them: jobs in order, conditions, each script in its shell.

Actions other than those that keep and fetch files do nothing here. Sources: GitHub's docs on workflow syntax, workflow
commands and expressions; GitLab's CI/CD YAML reference.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

HEARD = re.compile(r"^\s*::|##\[", re.MULTILINE)


@dataclass(slots=True)
class Ended:
    """How a job ended. ok: green, or a warning. code: of the step that ended it. log: what all its steps said."""

    code: int = 0
    ok: bool = True
    log: str = ""
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


def outputs_of(text: str) -> dict[str, str]:
    """Read GITHUB_OUTPUT as the runner does (FileCommandManager.cs): KEY=VALUE, or KEY<<MARK, lines, MARK."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if heredoc >= 0 and (equals < 0 or heredoc < equals):
            key, mark = line[:heredoc], line[heredoc + 2 :]
            value: list[str] = []
            for each in lines:
                if each == mark:
                    break
                value.append(each)
            else:
                raise ValueError(f"no end of {key}")
            found[key] = "\n".join(value)
        elif equals > 0:
            found[line[:equals]] = line[equals + 1 :]
        else:
            raise ValueError(f"not an output: {line}")
    return found


class Review:
    """The comments of one review behind the API of a CI system; somebody else's first one carries our mark."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = [
            {
                "id": number,
                "body": "<!-- meshup plan -->\nnot ours" if not number else f"talk {number}",
                "by": "mallory",
            }
            for number in range(120)
        ]
        self.asked: list[str] = []
        self.bodies: list[str] = []
        me = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                me.asked.append(f"GET {self.path}")
                page = int(found[1]) if (found := re.search(r"[?&]page=(\d+)", self.path)) else 1
                some = me.comments[(page - 1) * 100 : page * 100]
                self.say({"id": "meshup-bot"} if self.path.endswith("/user") else [me.shown(each) for each in some])

            def do_POST(self) -> None:
                body = self.taken()
                me.comments.append({"id": len(me.comments), "body": body, "by": "ours"})
                self.say({"id": len(me.comments) - 1})

            def do_PATCH(self) -> None:
                number = int(self.path.rpartition("/")[2])
                assert me.comments[number]["by"] == "ours", "somebody else's comment"
                me.comments[number]["body"] = self.taken()
                self.say({"id": number})

            do_PUT = do_PATCH

            def taken(self) -> str:
                me.asked.append(f"{self.command} {self.path}")
                assert {self.headers["Authorization"], self.headers["PRIVATE-TOKEN"]} & {
                    "Bearer comment-token",
                    "comment-token",
                }
                return str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])

            def say(self, document: Any) -> None:
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def shown(self, each: dict[str, Any]) -> dict[str, Any]:
        ours = each["by"] == "ours"
        login = "github-actions[bot]" if ours else each["by"]
        author = {"id": "meshup-bot" if ours else each["by"]}
        return {"id": each["id"], "body": each["body"], "user": {"login": login}, "author": author}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def ours(self) -> list[str]:
        return [each["body"] for each in self.comments if each["by"] == "ours"]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass(slots=True)
class GitHub:
    """A repository on GitHub. env: of a runner's process. work: where jobs get folders, each its own."""

    file: Path
    env: Mapping[str, str]
    work: Path
    kubeconfig: str
    review: Review
    artifacts: dict[str, Path] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    event: str = "push"

    def run(self, event: str) -> dict[str, Ended]:
        """Run every job of an event in the order of the file; those whose conditions do not hold are not there."""
        self.event, self.ended = event, {}
        for name in yaml.safe_load(self.file.read_text())["jobs"]:
            self.job(name)
        return self.ended

    def again(self, name: str) -> dict[str, Ended]:
        """Run one job again, and those that need it after it."""
        names = list(yaml.safe_load(self.file.read_text())["jobs"])
        for each in names[names.index(name) :]:
            self.ended.pop(each, None)
            self.job(each)
        return self.ended

    def stage(self, stage: str) -> str:
        return f"stage-{stage}"

    def job(self, name: str) -> None:
        document = yaml.safe_load(self.file.read_text())
        job = document["jobs"][name]
        needs = job.get("needs", [])
        if any(each not in self.ended or not self.ended[each].ok for each in needs):
            return
        if "if" in job and not self.holds(job["if"], {}):
            return
        folder = self.work / f"{name}-{len(list(self.work.iterdir()))}"
        folder.mkdir(parents=True)
        ended = self.ended[name] = Ended()
        steps: dict[str, dict[str, str]] = {}
        for number, step in enumerate(job["steps"]):
            condition = step.get("if", "")
            if ("always()" not in condition and not ended.ok) or (
                condition and not self.holds(condition, steps, folder)
            ):
                continue
            if "uses" in step:
                self.action(step, folder)
                continue
            said = self.step(document, job, step, folder, number)
            steps[step.get("id", "")] = said.outputs
            ended.log += said.log
            ended.summary += said.summary
            if said.code:
                ended.code, ended.ok = said.code, False
        for key, text in job.get("outputs", {}).items():
            ended.outputs[key] = self.filled(text, steps)

    def action(self, step: dict[str, Any], folder: Path) -> None:
        name, given = step["uses"].partition("@")[0], step.get("with", {})
        if name == "actions/checkout":
            for each in ("meshup.yaml", "meshup.lock"):
                shutil.copy(self.file.parents[2] / each, folder / each)
        elif name == "actions/upload-artifact":
            kept = self.work / f"kept-{given['name']}"
            shutil.copy(folder / given["path"], kept)
            self.artifacts[given["name"]] = kept
        elif name == "actions/download-artifact":
            shutil.copy(self.artifacts[given["name"]], folder / "release.plan.json")

    def step(self, document: Any, job: Any, step: dict[str, Any], folder: Path, number: int) -> Ended:
        """Run one script as the runner does: a file of its own, bash --noprofile --norc -eo pipefail."""
        temp = self.work / "temp" / f"{folder.name}-{number}"
        temp.mkdir(parents=True)
        script, output, summary = temp / "script.sh", temp / "output", temp / "summary"
        script.write_text(step["run"])
        output.touch()
        summary.touch()
        env = {
            **self.env,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_API_URL": self.review.url,
            "GITHUB_REPOSITORY": "shop/mesh",
            "GITHUB_ACTOR": "ana",
            "RUNNER_TEMP": str(temp),
            **{
                key: self.filled(str(value), {})
                for each in (document, job, step)
                for key, value in each.get("env", {}).items()
            },
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        return Ended(
            code=done.returncode,
            log=done.stdout + done.stderr,
            summary=summary.read_text(),
            outputs=outputs_of(output.read_text()),
        )

    def filled(self, text: str, steps: Mapping[str, Mapping[str, str]]) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: str(self.value(found[1], steps)), text)

    def value(self, name: str, steps: Mapping[str, Mapping[str, str]], folder: Path | None = None) -> Any:
        """Give the value of the few expressions that a pipeline uses."""
        plain = {
            "github.event_name": self.event,
            "github.event.number": 7 if self.event == "pull_request" else "",
            "github.event.pull_request.head.repo.full_name": "shop/mesh",
            "github.repository": "shop/mesh",
            "github.token": "comment-token",
            "secrets.MESHUP_KUBECONFIG": self.kubeconfig,
            "always()": True,
        }
        if name in plain:
            return plain[name]
        if name.startswith("'"):
            return name.strip("'")
        if found := re.fullmatch(r"hashFiles\('(.*)'\)", name):
            assert folder is not None
            return "x" if any(fnmatch(each.name, found[1]) for each in folder.iterdir()) else ""
        if found := re.fullmatch(r"steps\.([\w-]+)\.outputs\.([\w-]+)", name):
            return steps.get(found[1], {}).get(found[2], "")
        if found := re.fullmatch(r"needs\.([\w-]+)\.outputs\.([\w-]+)", name):
            return self.ended[found[1]].outputs.get(found[2], "")
        raise AssertionError(f"no such expression here: {name}")

    def holds(self, text: str, steps: Mapping[str, Mapping[str, str]], folder: Path | None = None) -> bool:
        """Evaluate a condition: && binds more than ||, and a side is a value or a comparison."""
        return any(all(self._one(each, steps, folder) for each in side.split(" && ")) for side in text.split(" || "))

    def _one(self, text: str, steps: Mapping[str, Mapping[str, str]], folder: Path | None) -> bool:
        left, word, right = text.strip().partition(" == ") if " == " in text else text.strip().partition(" != ")
        if not word:
            return bool(self.value(left, steps, folder))
        same = self.value(left, steps, folder) == self.value(right, steps, folder)
        return same if word == " == " else not same


@dataclass(slots=True)
class GitLab:
    """A project on GitLab. Each job's script runs with sh -e, its lines joined as the runner joins them."""

    file: Path
    env: Mapping[str, str]
    work: Path
    kubeconfig: str
    review: Review
    artifacts: dict[str, list[Path]] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)
    event: str = "push"

    def run(self, event: str) -> dict[str, Ended]:
        """Run every job of an event, manual ones too as somebody presses their button."""
        self.event, self.ended = event, {}
        for name in self.jobs():
            self.job(name)
        return self.ended

    def again(self, name: str) -> dict[str, Ended]:
        """Retry one job, and run those behind it."""
        names = list(self.jobs())
        for each in names[names.index(name) :]:
            self.ended.pop(each, None)
            self.job(each)
        return self.ended

    def stage(self, stage: str) -> str:
        return f"apply:{stage}"

    def jobs(self) -> dict[str, Any]:
        document = yaml.safe_load(self.file.read_text())
        words = ("stages", "variables", "workflow", "default")
        own = {key: each for key, each in document.items() if key not in words and not key.startswith(".")}
        return {name: {**document.get(each.get("extends", ""), {}), **each} for name, each in own.items()}

    def job(self, name: str) -> None:
        document, job = yaml.safe_load(self.file.read_text()), self.jobs()[name]
        if name != "plan" and self.event != "push":
            return
        if any(each not in self.ended or not self.ended[each].ok for each in job.get("needs", [])):
            return
        folder = self.work / f"{name.replace(':', '-')}-{len(list(self.work.iterdir()))}"
        folder.mkdir(parents=True)
        for each in ("meshup.yaml", "meshup.lock"):
            shutil.copy(self.file.parent / each, folder / each)
        inherited: dict[str, str] = {}
        for each in job.get("needs", []):
            for path in self.artifacts.get(each, []):
                shutil.copy(path, folder / path.name)
            inherited |= self.ended[each].outputs
        config = self.work / "kubeconfig"
        config.write_text(self.kubeconfig)
        review = {"CI_MERGE_REQUEST_IID": "7", "MESHUP_COMMENT_TOKEN": "comment-token"} if self.event != "push" else {}
        env = {
            **self.env,
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_API_V4_URL": self.review.url,
            "CI_PROJECT_ID": "5",
            "GITLAB_USER_LOGIN": "ana",
            "KUBECONFIG": str(config),
            **review,
            **document.get("variables", {}),
            **job.get("variables", {}),
            **inherited,
        }
        script = self.work / f"{folder.name}.sh"
        script.write_text("\n".join([*document["default"]["before_script"], *job["script"]]) + "\n")
        command = ["sh", "-e", str(script)]
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        ended = self.ended[name] = Ended(code=done.returncode, log=done.stdout + done.stderr)
        ended.ok = not done.returncode or done.returncode in job.get("allow_failure", {}).get("exit_codes", [])
        reports = job["artifacts"].get("reports", {})
        kept = [folder / each for each in [*job["artifacts"].get("paths", []), reports.get("dotenv", "")] if each]
        self.artifacts[name] = [each for each in kept if each.is_file()]
        ended.outputs = dict(self._variables(folder / reports["dotenv"])) if "dotenv" in reports else {}

    def _variables(self, path: Path) -> Iterator[tuple[str, str]]:
        for line in path.read_text().splitlines() if path.is_file() else ():
            key, word, value = line.partition("=")
            assert word, line
            yield key, value
