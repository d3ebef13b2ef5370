"""People at a terminal: the installed programs, a home folder of their own, a cluster in memory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from installed import Installed, install
from replaying import TALLY, Replaying, simulated

from e2e.providers import Provider, Reached, chosen
from tests.conformance.comparing import closing_lines

EVIDENCE = Path(os.environ.get("MESHUP_E2E_EVIDENCE") or Path(__file__).resolve().parents[1] / ".e2e")
"""Where logs, events and the audit log go when a test fails."""
CLOSING = "closing"
"""The property of a test whose text is shown after all tests."""
ERROR = re.compile(r"^error\[(MU\d{4})\] ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Said:
    """What one call of a program left behind."""

    command: Sequence[str]
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"$ {' '.join(self.command)}\n{self.out}{self.err}exit {self.code}"

    def document(self) -> Any:
        """Give stdout as one JSON document."""
        return json.loads(self.out)

    def is_one_error(self, *, exit_code: int, code: str = "") -> str:
        """Check the shape of an error and give its code: one error, a next command, no traceback."""
        assert self.code == exit_code, str(self)
        assert "Traceback" not in self.err + self.out, str(self)
        assert "MU9001" not in self.err, f"a bug, not an error\n{self}"
        found = ERROR.findall(self.err)
        assert len(found) == 1, str(self)
        assert re.search(r"^fix ", self.err, re.MULTILINE), str(self)
        assert "\x1b" not in self.err, str(self)
        assert not code or found[0] == code, str(self)
        return found[0]


@dataclass(slots=True)
class Person:
    """Somebody with the installed programs, a home folder and perhaps a kubeconfig."""

    programs: Installed
    home: Path
    kubeconfig: Path | None = None
    more: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment of each call: nothing of the machine but PATH."""
        found = {
            "PATH": f"{self.programs.bin}{os.pathsep}{os.environ.get('PATH', '')}",
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_STATE_HOME": str(self.home / ".state"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "XDG_RUNTIME_DIR": str(self.home / ".run"),
            "LANG": "C.UTF-8",
            **self.more,
        }
        if self.kubeconfig is not None:
            found["KUBECONFIG"] = str(self.kubeconfig)
        return found

    def meshup(self, *arguments: str, code: int | None = 0, **more: Any) -> Said:
        """Call meshup; code None accepts any exit code. A simulator is judged again before it is stopped."""
        if arguments[:2] == ("simulator", "stop"):
            simulated(self.home / ".state")
        return self._call(str(self.programs.meshup), *arguments, code=code, **more)

    def kubectl(self, *arguments: str, code: int | None = 0, **more: Any) -> Said:
        """Call the stock kubectl."""
        return self._call(str(self.programs.kubectl), *arguments, code=code, **more)

    def established(self, definition: str) -> None:
        """Wait until a definition is served. One that is a moment old has no conditions yet, which kubectl wait takes ill."""
        for _ in range(60):
            said = self.kubectl("wait", f"crd/{definition}", "--for=condition=Established", "--timeout=30s", code=None)
            if said.code == 0:
                return
            assert "conditions accessor error" in said.err, str(said)
            time.sleep(0.5)
        raise AssertionError(str(said))

    def program(self, *command: str, code: int | None = 0, **more: Any) -> Said:
        """Call any other program."""
        return self._call(*command, code=code, **more)

    def _call(self, *command: str, code: int | None, stdin: str | None = None, timeout: float = 240.0) -> Said:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=self.env,
            cwd=self.home,
            timeout=timeout,
            **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}),
        )
        said = Said((Path(command[0]).name, *command[1:]), done.returncode, done.stdout, done.stderr)
        assert code is None or said.code == code, str(said)
        return said

    def asked(self, path: str) -> Any:
        """GET a path of the simulator itself, with no client in between."""
        return json.loads(self.kubectl("get", "--raw", path).out)

    def mutations(self) -> int:
        """Give how many requests that write the simulator has answered so far, dry runs not counted."""
        return int(self.asked("/simulator/requests")["mutations"])


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel and kubectl in a fresh virtual environment; MESHUP_E2E_BIN names a folder that has both already."""
    there = os.environ.get("MESHUP_E2E_BIN", "")
    if there:
        return Installed(bin=Path(there), meshup=Path(there) / "meshup", kubectl=Path(there) / "kubectl")
    return install(tmp_path_factory.mktemp("installed") / "venv")


@pytest.fixture
def person(programs: Installed, tmp_path: Path) -> Person:
    """Somebody without a cluster."""
    return Person(programs=programs, home=tmp_path)


def started(person: Person, *more: str) -> Path:
    """Start a simulator and give the path of its kubeconfig, as it is printed."""
    said = person.meshup("simulator", "start", *more)
    found = re.search(r"(/\S*kubeconfig\S*)", said.out + said.err)
    assert found, str(said)
    path = Path(found[1].rstrip(".,;\"'"))
    assert path.is_file(), str(said)
    return path


@pytest.fixture
def simulator(person: Person) -> Iterator[Callable[..., Person]]:
    """Start simulators for a person, who has the kubeconfig afterwards; each is stopped at the end."""
    begun: list[Path] = []

    def start(*more: str) -> Person:
        person.kubeconfig = started(person, *more)
        begun.append(person.kubeconfig)
        return person

    yield start
    for _ in begun:
        person.meshup("simulator", "stop", code=None)


@pytest.fixture
def shop(simulator: Callable[..., Person]) -> Person:
    """Somebody with a kubeconfig of a shop."""
    return simulator("--scenario", "shop")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what the conformance cases came to, what was judged again, and what a test has to show."""
    for line in (*closing_lines(terminalreporter.stats), *TALLY.tell()):
        terminalreporter.write_line(line)
    for report in (each for several in terminalreporter.stats.values() for each in several):
        if getattr(report, "when", "") == "teardown":
            for name, text in report.user_properties:
                if name == CLOSING:
                    terminalreporter.write_line(f"\n{text}")


@pytest.fixture
def told(town: Any, record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Let the closing lines show what each stage of a rollout took, sent and failed. town: the module's own, with a report."""
    yield
    record_property(CLOSING, town.report.tell())


@pytest.fixture(scope="session")
def provider() -> Replaying:
    """Where clusters come from in this run, each judged again before it goes."""
    return Replaying(chosen(), EVIDENCE)


@pytest.fixture(scope="session")
def evidence(
    provider: Provider, request: pytest.FixtureRequest
) -> Callable[[Reached, str], AbstractContextManager[None]]:
    """Give what a fixture lends its cluster through: when a test failed meanwhile, the cluster's evidence is kept."""

    @contextlib.contextmanager
    def keep(reached: Reached, name: str) -> Iterator[None]:
        before = request.session.testsfailed
        whole = False
        try:
            yield
            whole = True
        finally:
            if not whole or request.session.testsfailed > before:
                provider.collect(reached, EVIDENCE / name)

    return keep


@pytest.fixture(scope="session")
def api_server(provider: Provider, evidence: Any) -> Iterator[Reached]:
    """A real API server with its controllers; nothing runs on it."""
    with provider.api_server() as reached, evidence(reached, "api-server"):
        yield reached
