"""P11: a report over an export of the ledger, against reading every one of its lines with json.loads."""

from __future__ import annotations

import json
import os
import random
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from figure import Figure, Settings, wall

from meshup.journal import folded
from meshup.journal.export import Export, appended, held_of, read, sound
from meshup.model.held import Held
from meshup.model.holds import HoldAt
from meshup.model.report import Report, View
from meshup.model.reporting import report

EVENTS = 500_000
FEW = 10_000
SHARES = (0.925, 0.025, 0.025, 0.025)
"""What each export adds: the last one is as long as lines behind a rollup may nearly be, so that cold is at its worst."""
IN_EFFECT = 200
CLUSTER = "11111111-2222-3333-4444-555555555555"
START = datetime(2026, 1, 5, tzinfo=UTC)
NOW = START + timedelta(days=330)
RELEASES = ("1.28.6", "1.29.4", "1.30.3", "1.31.0")
REASONS = tuple(
    f"{what} {where}"
    for what in ("timeouts to", "502 from", "slow calls of", "resets by")
    for where in ("ledger", "cart", "search")
)
SEED = 11


def events(count: int) -> Iterator[list[dict[str, Any]]]:
    """Give what each export finds new: pins that began and ended since the last one, and some that are still in effect."""
    chance = random.Random(SEED)
    still, number, began = [], 0, 0
    for share in SHARES:
        each = int(count * share)
        lines = [{**fields, "record": {**fields["record"], "status": {"phase": "Closed"}}} for fields in still]
        still = []
        while len(lines) < each:
            at = START + timedelta(seconds=(began + len(lines)) * 50)
            fields = _pin(number, at, chance)
            if each - len(lines) <= IN_EFFECT:
                still.append(fields)
            else:
                fields["record"]["status"]["phase"] = "Failed" if chance.random() < 0.02 else "Closed"
            lines.append(fields)
            number += 1
        began += each
        yield lines


def _pin(number: int, at: datetime, chance: random.Random) -> dict[str, Any]:
    service, user = f"s{chance.randrange(2000):04d}", f"user{chance.randrange(800)}@shop.example"
    left = chance.randrange(1, len(RELEASES))
    old, new = RELEASES[left - 1], RELEASES[left]
    spec = {
        "service": service,
        "workload": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": service,
            "uid": f"{number:08x}-5c1a-4be1-9d55-0123456789ab",
        },
        "from": {"release": new, "revision": new.replace(".", "-")},
        "to": {"release": old, "revision": old.replace(".", "-"), "digest": f"sha256:{'0' * 64}"},
        "requestedBy": {"username": user, "uid": f"{user}-uid", "groupsDigest": f"sha256:{'1' * 64}"},
        "reason": chance.choice(REASONS),
        "since": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "until": (at + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    meta = {
        "name": f"{service}-{number:016x}",
        "namespace": f"team-{int(service[1:]) % 40}",
        "uid": f"{number:08x}-77aa-4be1-9d55-0123456789ab",
    }
    record = {"metadata": meta, "spec": spec, "status": {"phase": "Active"}}
    return {"kind": "MeshPin", "trust": "enforced" if chance.random() < 0.9 else "declared", "record": record}


def written(path: Path, count: int) -> tuple[int, int, int]:
    """Write an export that was gone on from. Gives (its lines, how many of them are rollups, those behind the last)."""
    before: Export | None = None
    rollups = behind = 0
    with path.open("wb") as file:
        for number, found in enumerate(events(count)):
            lines, chain, _ = appended(before, found, cluster=CLUSTER, at=f"2026-11-{number + 1:02d}T00:00:00Z")
            file.write(lines)
            rollups += lines.count(b'"kind":"Rollup"')
            behind = 0 if b'"kind":"Rollup"' in lines else behind + len(found)
            more = read(lines) if before is None else _behind(before, lines)
            before = more
    return chain.seq, rollups, behind


def _behind(before: Export, lines: bytes) -> Export:
    """Read on: only what a further export needs."""
    start = before.size
    header = b'{"kind":"Ledger","cluster":"%b","seq":0,"hash":"-"}\n' % CLUSTER.encode()
    more = read(header + lines)
    before.held += more.held
    before.states |= more.states
    if more.rollup != (0, 0):
        before.rollup = (start + more.rollup[0] - len(header), more.rollup[1])
    before.seq, before.head, before.size, before.at = more.seq, more.head, start + len(lines), more.at
    return before


def looped(path: Path) -> Report:
    """Read every line with json.loads, keep the last reading of each pin, fold: nothing clever, and what is compared with."""
    last: dict[str, Held] = {}
    with path.open("rb") as file:
        for line in file:
            found = json.loads(line)
            if found["kind"] == "MeshPin":
                last[found["record"]["metadata"]["uid"]] = held_of(found)
            elif found["kind"] == "Seal":
                at = found["at"]
    seen = View(names=frozenset({str(path)}), cluster=CLUSTER, at=at, held=tuple(last.values()))
    return report([seen], now=NOW, at=HoldAt())


def bare_loop(path: Path) -> int:
    """Read every line with json.loads and do nothing else with it."""
    count = 0
    with path.open("rb") as file:
        for line in file:
            json.loads(line)
            count += 1
    return count


def reported(path: Path) -> Report:
    """Give the report as meshup makes it."""
    found, tally = folded.of_file(path)
    return report([found], now=NOW, at=HoldAt(), tally=tally)


def run(settings: Settings, _: object) -> list[Figure]:
    """Measure cold (no index) and warm in the same rounds, and a file too short for a rollup."""
    with tempfile.TemporaryDirectory(prefix="meshup-ledger-") as folder:
        path, indexed, few = (Path(folder) / f"{name}.jsonl" for name in ("ledger", "indexed", "few"))
        lines, rollups, behind = written(path, EVENTS)
        written(few, FEW)
        os.link(path, indexed)
        data = path.read_bytes()
        holds = sound(data).why or "holds"
        folded.write_index(indexed, read(data))
        del data
        right = looped(path)
        asked = {each: _nameless(reported(each)) == _nameless(right) for each in (path, indexed)}
        asked[few] = _nameless(reported(few)) == _nameless(looped(few))
        rounds = [
            (wall(lambda: looped(path)), wall(lambda: reported(path)), wall(lambda: reported(indexed)))
            for _ in range(settings.rounds)
        ]
        alone = [wall(lambda: bare_loop(path)) for _ in range(2)]
        small = [wall(lambda: reported(few)) for _ in range(settings.rounds)]
        work = f"report over {EVENTS} events, {path.stat().st_size // 1_000_000} MB"
        index_mb = round(folded.beside(indexed).stat().st_size / 1e6, 1)
    said = {"lines": lines, "rollups": rollups, "lines behind the last": behind, "seed": SEED, "ledger verify": holds}
    middle = [round(statistics.median(each), 3) for each in zip(*rounds, strict=True)]
    said |= {"loop s": middle[0], "of it json.loads s": round(min(alone), 3), "cold s": middle[1]}
    answer = {each: "equal" if right else "ANOTHER ANSWER" for each, right in asked.items()}
    return [
        Figure(
            goal="P11",
            work=f"{work}, no index",
            a="json.loads of each line",
            b="meshup",
            ratios=tuple(loop / cold for loop, cold, _ in rounds),
            wanted=">= 10",
            answers=answer[path] if holds == "holds" else "THE FILE DOES NOT HOLD",
            counters=said,
        ),
        Figure(
            goal="P11",
            work=f"{work}, with index",
            a="json.loads of each line",
            b="meshup",
            ratios=tuple(loop / warm for loop, _, warm in rounds),
            wanted=">= 100",
            answers=answer[indexed],
            counters={"index MB": index_mb, "warm s": middle[2]},
        ),
        Figure(
            goal="P11",
            work=f"report over {FEW} events, no index",
            a="meshup",
            b="2 s",
            ratios=tuple(each / 2 for each in small),
            wanted="<= 1",
            answers=answer[few],
        ),
    ]


def _nameless(found: Report) -> Report:
    """Put the file's own name aside: the same export lies under two names."""
    return replace(found, clusters=())
