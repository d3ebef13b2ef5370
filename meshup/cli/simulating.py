"""The process behind `meshup simulator start`: one scenario behind HTTP until it is stopped."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path


def programs() -> dict[str, object]:
    """Give what containers named `meshup NAME` run."""
    from meshup.engine.guard import guard
    from meshup.engine.probing import probe

    return {"guard": guard, "probe": probe}


def main() -> int:
    """Serve until SIGTERM. The state file is written once everything answers."""
    parser = argparse.ArgumentParser()
    for name in ("scenario", "kubeconfig", "state"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", default=[])
    given = parser.parse_args()
    from meshup.simulate.api.problems import Refusal
    from meshup.simulate.http import Front
    from meshup.simulate.scenario import load

    simulation = load(given.scenario, seed=given.seed, programs=programs())  # type: ignore[arg-type]
    for each in given.fault:
        try:
            simulation.world.inject(json.loads(each))
        except Refusal as refused:
            sys.exit(refused.message)
    front = Front(simulation.server, port=given.port, users=simulation.users, faults=simulation.world.steer).start()
    kubeconfig = Path(given.kubeconfig)
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(json.dumps(front.kubeconfig(), indent=1) + "\n")
    for user in simulation.users.values():
        kubeconfig.with_name(f"{kubeconfig.name}.{user.name}").write_text(
            json.dumps(front.kubeconfig(user.name), indent=1) + "\n"
        )
    state = {
        "pid": os.getpid(),
        "scenario": simulation.name,
        "server": front.url,
        "kubeconfig": str(kubeconfig),
        "seed": given.seed,
    }
    path = Path(given.state)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(state) + "\n")
    scratch.replace(path)
    ended = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: ended.set())
    ended.wait()
    front.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
