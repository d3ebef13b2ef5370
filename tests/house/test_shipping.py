"""What is built: one wheel with the runbooks and templates in it, found in both kinds of installation."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from meshup.model.shipped import shipped
from tests.house.tree import ROOT, tracked

ASK = """
import sys; sys.path.insert(0, sys.argv[1])
from meshup.model.shipped import shipped
import meshup
print(meshup.__file__)
for folder in ("runbooks", "templates"):
    for path in sorted(shipped(folder).rglob("*")):
        if path.is_file():
            print(folder + "/" + path.relative_to(shipped(folder)).as_posix())
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree, built once."""
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("meshup-*.whl")
    return built


def below(folder: str) -> set[str]:
    """Give the tracked files below a folder, as paths below the root."""
    return {path.relative_to(ROOT).as_posix() for path in tracked() if path.is_relative_to(ROOT / folder)}


def test_there_are_runbooks_and_templates_to_ship() -> None:
    assert "runbooks/onboard-istio.yaml" in below("runbooks")
    assert below("templates")


def test_the_wheel_holds_every_file_of_the_package_and_what_ships_beside_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        inside = set(file.namelist())
    assert below("meshup") - inside == set()
    assert {f"meshup/_shipped/{each}" for each in below("runbooks") | below("templates")} - inside == set()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        foreign = [each for each in file.namelist() if not each.startswith(("meshup/", "meshup-"))]
        tests = [each for each in file.namelist() if "/tests/" in each or "__pycache__" in each]
    assert foreign == []
    assert tests == []


def test_an_installed_wheel_finds_what_ships_with_it(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ASK, str(site)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    where, *found = done.stdout.splitlines()
    assert where.startswith(str(site))
    assert below("runbooks") | below("templates") <= set(found)


def test_a_checkout_finds_what_ships_with_it() -> None:
    assert shipped("runbooks") == ROOT / "runbooks"
    assert (shipped("runbooks") / "onboard-istio.yaml").is_file()
    assert shipped("templates").is_dir()


def test_both_names_of_the_command_are_entry_points(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        (name,) = [each for each in file.namelist() if each.endswith(".dist-info/entry_points.txt")]
        text = file.read(name).decode()
    assert "meshup = meshup.cli.main:run" in text
    assert "kubectl-meshup = meshup.cli.main:run" in text
