"""meshup as an image sees it: this interpreter with the libraries it loads, meshup's dependencies, and its wheel."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import zipfile
from pathlib import Path

from .config import ROOT
from .errors import LabError, run

LIBRARIES = "usr/local/lib/loaded"
"""Where the image keeps shared libraries; its LD_LIBRARY_PATH names it."""
UNUSED = (
    "test",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "__pycache__",
    "config-*",
    "_test*",
    "_tkinter*",
    "_curses*",
    "xx*",
    "_xx*",
    "readline*",
)
"""Parts of the standard library that nothing in a pod loads."""
WITHOUT = "kubernetes"
"""The one dependency that a pod does not need: it reads old auth-provider entries of kubeconfigs, and is very large."""
SITE = f"usr/local/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
STARTER = """\
#!/usr/local/bin/python3
import sys
from meshup.cli.main import run
sys.exit(run())
"""
PARTS = ("meshup", "runbooks", "templates")
FIX = "`make .venv/.ready` installs what the lab's Python needs"


def version() -> str:
    """Give the version of interpreter and dependencies together."""
    content = repr((sorted(_needs()), UNUSED))
    return f"{platform.python_version()}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"


def _needs() -> list[str]:
    """Give the requirements of meshup in a pod."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return [each for each in project["dependencies"] if not each.startswith(WITHOUT)]


def tree_version() -> str:
    """Give a version of meshup that changes with every file that its wheel is made from."""
    digest = hashlib.sha256(version().encode())
    found = (path for part in PARTS for path in sorted((ROOT / part).rglob("*")))
    for path in (*found, ROOT / "pyproject.toml"):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def make_base(out: Path) -> None:
    """Put the interpreter, its standard library, the libraries both load, and meshup's dependencies into out/root."""
    root = out / "root"
    standard = Path(sysconfig.get_path("stdlib"))
    copied = root / "usr/local/lib" / standard.name
    left_out = shutil.ignore_patterns(*UNUSED)
    shutil.copytree(standard, copied, ignore=left_out, symlinks=False, ignore_dangling_symlinks=True)
    program = root / "usr/local/bin/python3"
    program.parent.mkdir(parents=True)
    shutil.copy(Path(sys.executable).resolve(), program)
    site = root / SITE
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    run(*pip, "--target", site, *_needs(), fix="pip fetches them by its usual settings (pip config list)")
    shutil.rmtree(site / "bin", ignore_errors=True)
    _copy_libraries(root, [program, *copied.rglob("*.so")])
    (root / "tmp").mkdir(mode=0o1777)
    _precompile(root / "usr/local/lib")


def _copy_libraries(root: Path, loaders: list[Path]) -> None:
    """Copy every shared library that a program or module loads, and the loader itself to where programs expect it."""
    into = root / LIBRARIES
    into.mkdir(parents=True)
    for loader in loaders:
        said = subprocess.run(["ldd", loader], capture_output=True, text=True, check=False).stdout
        for name, path in re.findall(r"(\S+) => (/\S+)", said):
            if not (into / name).exists():
                shutil.copy(path, into / name)
        for path in re.findall(r"^\s*(/\S+)", said, re.MULTILINE):
            if not (root / path[1:]).exists():
                (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, root / path[1:])
    if not any(into.iterdir()):
        raise LabError("the interpreter's libraries were not found", fix="ldd, of the package libc-bin, lists them")


def make_meshup(out: Path) -> None:
    """Put meshup's wheel, unpacked, and the program that starts it into out/root."""
    with tempfile.TemporaryDirectory() as built:
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", built, ROOT, fix=FIX)
        (wheel,) = Path(built).glob("meshup-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(out / "root" / SITE)
    starter = out / "root/usr/local/bin/meshup"
    starter.parent.mkdir(parents=True)
    starter.write_text(STARTER, "utf-8")
    starter.chmod(0o755)
    _precompile(out / "root" / SITE)


def _precompile(folder: Path) -> None:
    """Compile modules beside themselves, as nothing can be written in a running image. The clock is no part of it."""
    command = (sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", folder)
    subprocess.run(command, check=False, capture_output=True)  # a file that is not meant to compile is no reason
