"""The lab leaves nothing on the machine: after `down`, after a killed `up`, after a killed `down`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import lab
from e2e.lab.traces import differences, traces
from e2e.providers import Provider

pytestmark = [pytest.mark.e2e, pytest.mark.lab]
ROOT = Path(__file__).resolve().parents[1]
MOMENTS = (0.1, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8, 3.2, 3.8, 4.4)
"""Seconds after which `up` is killed: from its first file to the pods of a full lab."""


@pytest.fixture(scope="module")
def built(provider: Provider) -> None:
    """Everything that a full lab needs."""
    if provider.name != "lab":
        pytest.skip("the tests of the lab need the lab: PROVIDER=lab")
    lab.build()
    lab.images()


@pytest.fixture
def env(tmp_path: Path, built: None) -> Iterator[dict[str, str]]:
    """The environment of the lab's commands, with a folder for the running lab; taken down at the end."""
    home = lab.Home(tmp_path / "lab")
    yield {**os.environ, "MESHUP_LAB_STATE": str(home.state)}
    lab.down(home=home)


def started(*words: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a command of the lab."""
    command = [sys.executable, "-m", "e2e.lab", *words]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ended(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of the lab to its end."""
    command = [sys.executable, "-m", "e2e.lab", *words]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=300)


def killed_after(seconds: float, *words: str, env: dict[str, str]) -> bool:
    """Start a command, kill it after so many seconds, and tell whether it was still at work."""
    with started(*words, env=env) as command:
        time.sleep(seconds)
        at_work = command.poll() is None
        command.send_signal(signal.SIGKILL)
        command.wait()
    return at_work


@pytest.mark.parametrize("kind", [(), ("--control-plane-only",), ("--fake-nodes", "3", "--gateway-api")], ids=" ".join)
def test_down_leaves_nothing(kind: tuple[str, ...], env: dict[str, str]) -> None:
    home = Path(env["MESHUP_LAB_STATE"])
    before = traces(home)
    up = ended("up", *kind, env=env)
    assert up.returncode == 0, up.stdout + up.stderr
    assert ended("status", env=env).returncode == 0
    assert differences(before, traces(home)), "a running lab can be seen"
    assert ended("down", env=env).returncode == 0
    assert differences(before, traces(home)) == []
    assert [each.name for each in Path(env["MESHUP_LAB_STATE"]).iterdir()] == ["logs"]
    assert ended("status", env=env).returncode == 1
    assert ended("down", env=env).returncode == 0, "down may be repeated"


@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_killed_up_is_cleaned_up_after(seconds: float, env: dict[str, str]) -> None:
    home = Path(env["MESHUP_LAB_STATE"])
    before = traces(home)
    killed_after(seconds, "up", env=env)
    assert ended("down", env=env).returncode == 0
    assert differences(before, traces(home)) == []


@pytest.mark.parametrize("seconds", MOMENTS[:6])
def test_a_killed_control_plane_is_cleaned_up_after(seconds: float, env: dict[str, str]) -> None:
    home = Path(env["MESHUP_LAB_STATE"])
    before = traces(home)
    killed_after(seconds, "up", "--control-plane-only", env=env)
    assert ended("down", env=env).returncode == 0
    assert differences(before, traces(home)) == []


def test_a_killed_down_is_finished_by_the_next(env: dict[str, str]) -> None:
    home = Path(env["MESHUP_LAB_STATE"])
    before = traces(home)
    assert ended("up", env=env).returncode == 0
    cut_off = sum(killed_after(seconds, "down", env=env) for seconds in (0.1, 0.2, 0.25))
    assert cut_off, "at least one was cut off"
    assert ended("down", env=env).returncode == 0
    assert differences(before, traces(home)) == []


def test_a_second_up_is_refused_with_the_way_out(env: dict[str, str]) -> None:
    assert ended("up", "--control-plane-only", env=env).returncode == 0
    again = ended("up", "--control-plane-only", env=env)
    assert again.returncode == 1
    assert "there is a lab in" in again.stderr
    assert "`down`" in again.stderr
