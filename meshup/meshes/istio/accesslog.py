"""Envoy's access log as Istio writes it by default: who called, when, and whether by mutual TLS."""

from __future__ import annotations

import re

from meshup.meshes.driver import Call

LINE = re.compile(
    r'^\[(?P<at>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) [^"]*" (?P<status>\d+) .* '
    r"(?P<upstream>inbound\|\d+\|\|\S*) \S+ (?P<local>\S+) (?P<remote>\S+) (?P<sni>\S+) \S+$"
)


def read(log: str) -> tuple[Call, ...]:
    """Give inbound calls, oldest first; other lines are passed over. A name asked for by TLS means mutual TLS."""
    found = []
    for raw in log.splitlines():
        match = LINE.match(raw)
        if match is None:
            continue
        address = match["remote"].rpartition(":")[0].strip("[]")
        found.append(
            Call(
                at=match["at"],
                address=address,
                status=int(match["status"]),
                path=match["path"],
                tls=match["sni"] != "-",
            )
        )
    return tuple(found)
