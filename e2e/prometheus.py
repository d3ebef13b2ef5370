"""Ask a real Prometheus what the cases ask, and write its answers into them.

`python e2e/prometheus.py DIRECTORY`, where DIRECTORY holds `prometheus` and `promtool` (the lab builds both). The samples of
tests/cases/prometheus/samples.om become blocks by promtool; the server listens on loopback alone and is ended again.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).resolve().parents[1] / "tests" / "cases" / "prometheus"
CONFIG = "global: {scrape_interval: 1h}\n"
READY_S = 30


def asked(base: str, ask: dict[str, object]) -> tuple[int, object]:
    """Give status and answer; a body that is no JSON is given as text."""
    words = [
        (key, each)
        for key, value in ask.items()
        if key != "path"
        for each in (value if isinstance(value, list) else [value])
    ]
    try:
        with urllib.request.urlopen(
            f"{base}/api/v1/{ask['path']}?{urllib.parse.urlencode(words)}", timeout=10
        ) as reply:
            status, body = reply.status, reply.read().decode()
    except urllib.error.HTTPError as refused:
        status, body = refused.code, refused.read().decode()
    try:
        return status, json.loads(body)
    except ValueError:
        return status, body


def served(programs: Path, home: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server with the samples; give it and its address once it is ready."""
    (home / "prometheus.yml").write_text(CONFIG, "utf-8")
    load = [programs / "promtool", "tsdb", "create-blocks-from", "openmetrics", CASES / "samples.om", home / "data"]
    subprocess.run(load, check=True, stdout=subprocess.DEVNULL, timeout=60)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            programs / "prometheus",
            f"--config.file={home / 'prometheus.yml'}",
            f"--storage.tsdb.path={home / 'data'}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
    )
    until = time.monotonic() + READY_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{base}/-/ready", timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return process, base
    process.kill()
    raise SystemExit(f"prometheus was not ready within {READY_S} s")


def answered(programs: Path) -> dict[Path, dict[str, Any]]:
    """Give every file of cases as the real one answers it now."""
    files = {path: yaml.safe_load(path.read_text("utf-8")) for path in sorted(CASES.glob("*.yaml"))}
    with tempfile.TemporaryDirectory() as home:
        process, base = served(programs, Path(home))
        try:
            for found in files.values():
                for case in found["cases"]:
                    case["status"], case["reply"] = asked(base, case["ask"])
        finally:
            process.terminate()
            process.wait(30)
    return files


def main(programs: Path) -> None:
    """Fill in every case."""
    files = answered(programs)
    for path, found in files.items():
        path.write_text(yaml.safe_dump(found, sort_keys=False, width=110, allow_unicode=True), "utf-8")
    print(f"{sum(len(found['cases']) for found in files.values())} answers are recorded")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
