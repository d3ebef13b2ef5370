"""Serve a scenario for a sweep: `scenario.py NAME`; prints the URL and serves until its parent ends or it is told to."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from wire import Wire

from meshup.engine.guard import guard
from meshup.engine.probing import probe
from meshup.simulate.scenario import load


def main(name: str) -> None:
    """Load, serve, wait."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    made = load(name, programs={"guard": guard, "probe": probe})
    if name == "shop":
        # The forgotten client joins too, so that the whole runbook can be performed.
        joined = {"metadata": {"annotations": {"meshup.dev/opt-in": "dan 2026-10-24T09:00:00Z"}}}
        made.server.objects.patch("cronjobs.batch", "data", "reports", joined)
        made.clock.advance(5.0)
    front = Wire(server=made.server, faults=made.world.steer).attach().serve()
    sys.stdout.write(f"{front.url}\n")
    sys.stdout.flush()
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
