"""Records of a cluster, and exports of them as time goes on, without a cluster."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from meshup.journal.export import Export, appended, read

START = datetime(2026, 9, 1, tzinfo=UTC)
CLUSTER = "11111111-2222-3333-4444-555555555555"
RELEASES = ("1.29.4", "1.30.3", "1.31.0", "")
REASONS = ("timeouts", "Timeouts.", "502 from catalog", "latency  up", "Latency up!")
PHASES = ("Requested", "Active", "Closed", "Failed")


def at(hours: float) -> str:
    """Write a time so many hours after the start."""
    return (START + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pin(number: int, *, service="cart", since=0.0, left="1.30.3", to="1.29.4", user="ana", **more) -> dict:
    """Give the fields of a pin's line."""
    spec = {
        "service": service,
        "workload": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service, "uid": f"w-{service}"},
        "from": {"release": left, "revision": left.replace(".", "-")},
        "to": {"release": to, "revision": to.replace(".", "-")},
        "requestedBy": {"username": user, "uid": f"u-{user}"},
        "reason": more.get("reason", "timeouts"),
        "since": at(since),
        "until": at(since + more.get("lasts", 168)),
    }
    if more.get("behalf"):
        spec["onBehalfOf"] = {"name": more["behalf"], "trust": "declared"}
    meta = {"name": f"{service}-{number}", "namespace": "shop", "uid": f"p-{number}"}
    record = {"metadata": meta, "spec": spec, "status": {"phase": more.get("phase", "Active")}}
    return {"kind": "MeshPin", "trust": more.get("trust", "enforced"), "record": record}


def release(version: str, state: str) -> dict:
    """Give the fields of a release's line."""
    return {
        "kind": "MeshRelease",
        "trust": "declared",
        "record": {"metadata": {"name": version}, "spec": {"mesh": "istio", "version": version, "state": state}},
    }


def history(seed: int, *, pins: int = 14, exports: int = 4, services: int = 3) -> list[list[dict]]:
    """Give what each of several exports finds: pins that come and move forward, some reaching back in time."""
    chance = random.Random(seed)
    made = []
    for number in range(pins):
        begins = chance.randrange(exports)
        same = chance.random() < 0.3
        left, to = chance.choice(RELEASES), chance.choice(RELEASES)
        fields = {
            "service": f"s{chance.randrange(services)}",
            # Hours, so that some begin at once; and some were recorded late.
            "since": begins * 6 + chance.randrange(-3 if chance.random() < 0.1 else 0, 6),
            "left": to if same else left,
            "to": to,
            "user": f"user{chance.randrange(3)}",
            "reason": chance.choice(REASONS),
            "trust": chance.choice(("enforced", "enforced", "declared")),
            "behalf": chance.choice(("", "", "", "carol")),
        }
        phase, phases = chance.randrange(2), []
        for _ in range(exports - begins):
            phases.append(PHASES[phase])
            if phase < 2:
                phase = chance.choice((phase, max(phase, 1), 2, 3))
        made.append((begins, number, fields, phases))
    states = ("candidate", "supported", "blocked")
    return [
        [
            *(
                pin(number, **fields, phase=phases[which - begins])
                for begins, number, fields, phases in made
                if begins <= which
            ),
            release("1.31.0", states[min(which, 2)]),
        ]
        for which in range(exports)
    ]


def grown(finds: list[list[dict]], *, least: int = 0) -> bytes:
    """Make the file of several exports, each behind the one before."""
    data, before = b"", None
    for which, found in enumerate(finds):
        more, _, _ = appended(before, found, cluster=CLUSTER, at=at(which * 6), least=least)
        data += more
        before = read(data)
        assert isinstance(before, Export)
    return data
