"""The import contracts hold, and each of them notices when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT

PLANTED = {
    "one way": ("meshup/model/objects.py", "import meshup.engine.plan"),
    "these decide or draw, they do not touch": ("meshup/views/table.py", "import meshup.journal.store"),
    "only cli sees the simulator": ("meshup/engine/plan.py", "import meshup.simulate.clock"),
    "the model is plain": ("meshup/model/objects.py", "import time"),
    "only cluster speaks to a server": ("meshup/engine/plan.py", "import urllib3"),
    "pydantic reads people's YAML and nothing else": ("meshup/views/table.py", "import pydantic"),
}


def contracts(at: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the tree at a folder."""
    code = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports(no_cache=True, config_filename='pyproject.toml'))"
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(at)!r}); {code}"],
        cwd=at,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its configuration, to break."""
    shutil.copytree(ROOT / "meshup", tmp_path / "meshup", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_of_the_configuration_has_a_planted_break() -> None:
    import tomllib

    configured = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    assert {each["name"] for each in configured} == set(PLANTED)


def test_the_contracts_hold() -> None:
    done = contracts(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_broken_contract_is_noticed(name: str, copy: Path) -> None:
    where, line = PLANTED[name]
    (copy / where).write_text((copy / where).read_text("utf-8") + f"\n\ndef planted() -> None:\n    {line}\n", "utf-8")
    done = contracts(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{name} BROKEN" in " ".join(done.stdout.split()), done.stdout


def test_a_new_top_package_must_choose_its_layer(copy: Path) -> None:
    (copy / "meshup" / "elsewhere").mkdir()
    (copy / "meshup" / "elsewhere" / "__init__.py").write_text("")
    assert contracts(copy).returncode != 0
