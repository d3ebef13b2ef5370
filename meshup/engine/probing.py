"""The probe: asks the gateway for every host and path from inside the cluster, one JSON line per answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from meshup.model.program import Pod

EVERY_S = 5.0
ROUNDS = 60


def probe(pod: Pod, arguments: Sequence[str]) -> Iterator[float]:
    """Ask again and again until everything answers as it should, at most ROUNDS times. Raises ValueError for bad arguments."""
    told = dict(zip(arguments[::2], arguments[1::2], strict=False))
    if "--gateway" not in told or "--ask" not in told:
        raise ValueError("--gateway URL and --ask JSON are needed")
    base, asked = told["--gateway"].rstrip("/"), json.loads(told["--ask"])
    for _ in range(ROUNDS):
        good = 0
        for each in asked:
            status, why = pod.fetch(base + each["path"], each["host"])
            fine = status == each["expect"] if each.get("expect") else 0 < status < 500 and status != 404
            good += fine
            pod.say(
                json.dumps(
                    {"host": each["host"], "path": each["path"], "status": status, "why": "" if fine else why[:200]}
                )
            )
        if good == len(asked):
            return
        yield EVERY_S
