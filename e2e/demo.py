"""A whole rollout on a cluster in memory: every command is printed, run for real, and its exit code checked."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

OPT_IN = "meshup.dev/opt-in"
WAITS = re.compile(r"\d\d:\d\d:\d\d wait ")
BIN = Path(sys.executable).parent
BOLD, DIM, RED, END = ("\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m") if sys.stdout.isatty() else ("", "", "", "")


class Demo:
    """Tells, runs and checks. folder: where the runbook is written; nothing of it is left behind."""

    def __init__(self, folder: Path) -> None:
        self._env = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / ".state"),
            "XDG_CACHE_HOME": str(folder / ".cache"),
            "XDG_CONFIG_HOME": str(folder / ".config"),
            "XDG_RUNTIME_DIR": str(folder / ".run"),
        }
        self._env.pop("KUBECONFIG", None)
        self._folder, self._server = folder, ""
        self.began = time.monotonic()
        self.count = 0

    def tell(self, text: str) -> None:
        """Say what comes next and why."""
        print(f"\n{BOLD}{text}{END}", flush=True)

    def run(self, line: str, *, code: int = 0, holds: tuple[str, ...] = (), quiet: bool = False) -> str:
        """Run one command line; its exit code and what it must say are checked. Gives what it said."""
        print(f"{DIM}${END} {line}", flush=True)
        done = subprocess.run(
            shlex.split(line),
            cwd=self._folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        if done.returncode != code:
            print(done.stdout.rstrip(), flush=True)
        elif not quiet:
            lines = done.stdout.rstrip().splitlines()
            told = [each for each in lines if not WAITS.match(each)]
            print("\n".join(told), flush=True)
            if len(told) < len(lines):
                print(f"{DIM}({len(lines) - len(told)} lines of waiting are left out){END}", flush=True)
        missing = [each for each in holds if each not in done.stdout]
        if done.returncode != code or missing:
            why = f"ended with {done.returncode}, not {code}" if done.returncode != code else f"does not say {missing}"
            raise SystemExit(f"{RED}demo: that command {why}{END}")
        print(f"{DIM}exit {done.returncode}, as it should{END}", flush=True)
        self.count += 1
        return done.stdout

    def use(self, kubeconfig: Path) -> None:
        """Aim every later command at this kubeconfig."""
        self._env["KUBECONFIG"] = str(kubeconfig)
        config = json.loads(kubeconfig.read_text())
        self._server = config["clusters"][0]["cluster"]["server"]
        print(f"{DIM}$ export KUBECONFIG={kubeconfig}{END}", flush=True)

    def opt_in(self, path: str, who: str) -> None:
        """Annotate an object as its owner would with kubectl, which this machine may not have."""
        print(
            f"{DIM}$ kubectl annotate {path.rpartition('/')[0].rpartition('/')[2]}/{path.rpartition('/')[2]} {OPT_IN}='{who}'{END}"
        )
        request = urllib.request.Request(
            self._server + path,
            data=json.dumps({"metadata": {"annotations": {OPT_IN: who}}}).encode(),
            headers={"content-type": "application/merge-patch+json"},
            method="PATCH",
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def runs(self) -> list[str]:
        """Name the runs on record, by the labels of their segments."""
        path = "/api/v1/namespaces/meshup-system/configmaps?labelSelector=meshup.dev/segment"
        with urllib.request.urlopen(self._server + path, timeout=10) as answer:
            found = json.loads(answer.read())["items"]
        return sorted({each["metadata"]["labels"]["meshup.dev/run"] for each in found})


def play(demo: Demo) -> None:
    """The story of the shop."""
    demo.tell(
        "A shop in 4 namespaces, on a cluster in memory. catalog turns bad once it is meshed: its port is declared wrong."
    )
    said = demo.run("meshup simulator start --scenario shop --fault server-first:shop/catalog")
    found = re.search(r"KUBECONFIG=(\S+)", said)
    if found is None:
        raise SystemExit(f"{RED}demo: no kubeconfig was named{END}")
    demo.use(Path(found[1]))

    demo.tell(
        "Look at the cluster, read-only, and write a runbook: owners, opt-ins, waves off the critical path first."
    )
    demo.run("meshup init")
    demo.run("meshup plan --out shop.plan.json")

    demo.tell("Ingress first, then services in waves. The bad one is stopped, and its wave is put back: exit 4.")
    demo.run("meshup apply shop.plan.json --yes", code=4, holds=("catalog",))

    demo.tell(
        "Its owner mends it, and the same run goes on, until strict mode: a forgotten client speaks plaintext. Exit 3."
    )
    demo.run("meshup simulator mend server-first:shop/catalog")
    demo.run("meshup apply --resume --yes", code=3, holds=("data/reports", "team-data", "requests"))

    demo.tell(
        "The owner of that client opts in. The runbook is written anew, and strict mode goes on; what nobody uses is removed."
    )
    demo.opt_in("/apis/batch/v1/namespaces/data/cronjobs/reports", "dan 2026-11-02T09:00:00Z")
    demo.run("meshup init --force", quiet=True)
    demo.run("meshup apply --yes", holds=("minimise",))
    demo.run("meshup status")

    demo.tell(
        "The owner of cart goes back to the release it came from, without asking anybody; that is recorded first."
    )
    demo.run('meshup rollback cart --to 1.29.4 --reason "timeouts to ledger" --until 7d --yes')
    demo.run("meshup report", holds=("cart", "timeouts to ledger"))

    demo.tell(
        "Each verdict of these runs is made again from the evidence that the journal kept, and is the same bit for bit."
    )
    for run in (*demo.runs(), "shop/cart"):
        demo.run(f"meshup replay {run}", holds=("same      every verdict, bit for bit",), quiet=True)

    demo.run("meshup simulator stop", quiet=True)


def main() -> int:
    """Play the story in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="meshup-demo-"))
    demo = Demo(folder)
    try:
        play(demo)
    finally:
        subprocess.run(
            [str(BIN / "meshup"), "simulator", "stop"], env=demo._env, capture_output=True, check=False, cwd=folder
        )
        shutil.rmtree(folder, ignore_errors=True)
    took = time.monotonic() - demo.began
    print(f"\n{BOLD}{demo.count} commands, each with the exit code it should have, in {took:.0f} s.{END}")
    print("Next: the same by hand")
    print("  .venv/bin/meshup simulator start --scenario shop     prints a KUBECONFIG for meshup and kubectl")
    print("  .venv/bin/meshup rehearse --scenario shop --fault ...          plays a runbook without any cluster")
    print("  .venv/bin/meshup --help")
    return 0


if __name__ == "__main__":
    sys.exit(main())
