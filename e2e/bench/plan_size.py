"""P3, P5, P13: a plan of many Deployments with a tenth changed, against kubectl diff, and an apply with nothing to do."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from figure import Figure, Settings, pairs, ran, ratios

HERE = Path(__file__).resolve().parent
COUNTED = re.compile(r"requests\s+(\d+), of which (\d+) dry runs; (\d+) in flight")


@contextlib.contextmanager
def cluster(size: int, changed: int, latency_ms: float) -> Iterator[tuple[Path, str]]:
    """Serve a cluster; give the folder with its files, and its URL."""
    with tempfile.TemporaryDirectory(prefix="meshup-bench-") as name:
        folder = Path(name)
        command = [sys.executable, str(HERE / "served.py"), str(size), str(changed), str(latency_ms), name]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            if server.stdout.readline().strip() != "ready":
                raise RuntimeError("the cluster did not come up")
            url = json.loads((folder / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
            yield folder, url
        finally:
            server.kill()
            server.wait()


def asked(url: str, path: str, *, body: bytes | None = None, method: str = "GET") -> Any:
    """Ask the simulator itself."""
    with urllib.request.urlopen(urllib.request.Request(url + path, data=body, method=method), timeout=60) as answer:
        return json.loads(answer.read())


def run(settings: Settings, programs: Any) -> list[Figure]:
    """Check that both sides find the same changes, then time them; counters come from the server."""
    changed = max(1, settings.size // 10)
    meshup, kubectl = str(programs.meshup), str(programs.kubectl)
    figures: list[Figure] = []
    with cluster(settings.size, changed, settings.latency_ms) as (folder, url):
        env = {"KUBECONFIG": str(folder / "kubeconfig")}
        asked(url, "/simulator/requests", method="DELETE")
        plan = json.loads(ran([meshup, "plan", "-o", "json"], env=env, cwd=str(folder)))
        counts, sorts = asked(url, "/simulator/requests"), asked(url, "/simulator/faults", body=b"{}", method="POST")
        found = plan["summary"]["change"]
        bound = sorts.get("pages", 0) + changed + 3
        figures.append(
            Figure(
                goal="P5",
                work=f"requests of a plan, {settings.size} Deployments, {changed} changed",
                a="meshup plan",
                b="pages + changed + 3",
                ratios=(counts["requests"] / bound,),
                wanted="<= 1",
                answers="equal" if found == changed and counts["maxInFlight"] <= 16 else f"NOT {changed}: {found}",
                counters={"requests": counts["requests"], "bound": bound, "in flight": counts["maxInFlight"], **sorts},
            )
        )
        diff = [kubectl, "diff", "--server-side", "--field-manager=meshup", "--force-conflicts", "--concurrency=16"]
        diff += ["-f", str(folder / "manifests")]
        differ = len(re.findall(r"^diff ", ran(diff, env=env, codes=(1,)), re.MULTILINE))
        for flags, name, wanted in (((), "plan", ">= 6"), (("--full",), "plan --full", ">= 3")):
            timed = pairs(
                settings.rounds,
                lambda: ran(diff, env=env, codes=(1,)),
                lambda flags=flags: ran([meshup, "plan", *flags], env=env, cwd=str(folder)),
            )
            figures.append(
                Figure(
                    goal="P4" if not flags else "P3",
                    work=f"{settings.size} Deployments, {changed} changed, {settings.latency_ms:g} ms",
                    a="kubectl diff, server side, 16 at once",
                    b=f"meshup {name}",
                    ratios=ratios(timed),
                    wanted=wanted,
                    answers="equal" if differ == found else f"kubectl {differ}, meshup {found}",
                    counters={
                        "kubectl_s": round(sorted(a for a, _ in timed)[len(timed) // 2], 2),
                        "meshup_s": round(sorted(b for _, b in timed)[len(timed) // 2], 2),
                    },
                )
            )
    with cluster(settings.size, 0, settings.latency_ms) as (folder, url):
        env = {"KUBECONFIG": str(folder / "kubeconfig")}
        before = asked(url, "/simulator/requests")["mutations"]
        timed = pairs(
            settings.rounds,
            lambda: ran([meshup, "apply", "--yes"], env=env, cwd=str(folder)),
            lambda: ran([meshup, "plan"], env=env, cwd=str(folder)),
        )
        wrote = asked(url, "/simulator/requests")["mutations"] - before
        figures.append(
            Figure(
                goal="P13",
                work=f"{settings.size} Deployments, nothing to do",
                a="meshup apply",
                b="meshup plan",
                ratios=ratios(timed),
                wanted="<= 1.05",
                answers="equal" if wrote == 0 else f"{wrote} WRITES",
                counters={"mutations": wrote},
            )
        )
    return figures
