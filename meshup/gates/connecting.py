"""Whether callers can still open connections to what restarts: looked at again and again while it does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from meshup.gates import grouped
from meshup.gates.canary.tails import is_rarer
from meshup.gates.finding import name_of, number
from meshup.gates.gate import Eyes
from meshup.gates.prometheus import Row, filled, vector
from meshup.gates.sources import PAGES, counters, meshed, source
from meshup.model.objects import dig
from meshup.model.scene import Failing
from meshup.model.verdict import Answer, Reading, Verdict

KIND = "restart-watch"
LEAST = 10
"""Fewer failures of one caller than this stop nothing: a pod that goes takes a few connections with it anywhere."""
SURE = 0.001
"""So many failures stop it when they have at most this chance at the budget itself: it is looked at many times over a restart."""
NEVER = 1.0
"""The budget with which the watch is kept and never stops anything."""
Rows = dict[str, dict[str, Any]]
"""proxy|service -> {"caller", "service", "tried", "failed", "tls"}; counts since that proxy began."""


def observe(eyes: Eyes) -> Mapping[str, Any]:
    """Read what the proxies of all callers, and of the gateway, count of the services that restart. Raises Blind.

    Shape: {"rows": {"POD UID or name|SERVICE": {"caller": id, "service": id, "tried": n, "failed": n, "tls": n}}, "source": ...}.
    """
    where = source(eyes.book, eyes.driver)
    rows = _pages(eyes) if where == PAGES else _queried(eyes)
    return {"rows": rows, "source": where}


def _pages(eyes: Eyes) -> Rows:
    by_service = meshed(eyes, everywhere=True)
    counted = counters(eyes, [pod for several in by_service.values() for pod in several])
    wanted = {each.id for each in eyes.services}
    rows: Rows = {}
    for caller, several in by_service.items():
        for pod in several:
            uid = str(dig(pod, "metadata", "uid"))
            for edge in counted[uid].edges:
                if edge.direction == "outbound" and edge.peer in wanted and edge.peer != caller:
                    row = _row(rows, f"{uid}|{edge.peer}", caller or "ingress gateway", edge.peer)
                    row["tried"] += edge.connections
                    row["failed"] += edge.connect_failures
                    row["tls"] += edge.tls_errors or 0
    return rows


COUNTS = (("tried", "callers tried"), ("failed", "callers lost"), ("tls", "callers untrusted"))


def _queried(eyes: Eyes) -> Rows:
    """Ask for the counters as they are: between two looks they grow as those of the pages do. A pod is one by its name.

    The newest samples are asked for, come in or not: what is missing of a counter now is there at the next look.
    """
    metrics = replace(eyes.book.metrics, ingest_delay_s=0.0)
    eyes = replace(eyes, book=replace(eyes.book, metrics=metrics))
    by_service = meshed(eyes, everywhere=True)
    names, words, queries = (
        grouped.Names(eyes, by_service, eyes.services),
        grouped.naming(eyes.services),
        eyes.driver.queries(),
    )
    whose = {name_of(pod): name for name, several in by_service.items() for pod in several}

    def asked(meaning: str) -> list[Row]:
        return vector(eyes, filled(eyes, queries[meaning], words))

    found = eyes.cluster.gather([partial(asked, meaning) for _, meaning in COUNTS])
    rows: Rows = {}
    for (word, _), several in zip(COUNTS, found, strict=True):
        for labels, value in several:
            target, pod = names.target(labels), names.pod(labels)
            caller = whose.get(pod, pod)
            if target is not None and value is not None and caller != target:
                _row(rows, f"{pod}|{target}", caller or "ingress gateway", target)[word] += value
    return rows


def _row(rows: Rows, key: str, caller: str, service: str) -> dict[str, Any]:
    return rows.setdefault(key, {"caller": caller, "service": service, "tried": 0, "failed": 0, "tls": 0})


class Counted:
    """What one caller counted of one service: since the first look, and before it."""

    def __init__(self, caller: str, service: str) -> None:
        self.caller, self.service = caller, service
        self.tried = self.failed = self.tls = self.before_tried = self.before_failed = 0.0

    @property
    def bad(self) -> float:
        """Connections that were not made. A handshake that failed is one of them where the proxy counts it twice."""
        return max(self.failed, self.tls)

    @property
    def share(self) -> float:
        """Of those that were tried."""
        return self.bad / max(self.tried, self.bad, 1.0)

    @property
    def usual(self) -> float:
        """The share that failed before the restart, since the proxies began."""
        return self.before_failed / max(self.before_tried, self.before_failed, 1.0)

    def breaks(self, budget: float) -> bool:
        """Tell whether more failed than the usual share and the budget explain, by more than chance.

        The upper tail of the Poisson distribution, which is above the exact binomial's (see traffic.py).
        """
        allowed = max(self.tried, self.bad) * (self.usual + budget)
        enough = self.bad >= LEAST and self.bad > allowed
        return budget < NEVER and enough and is_rarer(allowed, math.floor(self.bad), SURE)

    def __str__(self) -> str:
        tls = f", {self.tls:.0f} TLS handshakes among them" if self.tls else ""
        return (
            f"{self.bad:.0f} of {self.tried:.0f} new connections to {self.service} failed ({self.share:.1%}, "
            f"usual {self.usual:.1%}){tls}"
        )


def counted(first: Mapping[str, Any], last: Mapping[str, Any]) -> list[Counted]:
    """Sum up by caller and service what grew between two looks, worst first. Raises ValueError, KeyError, TypeError.

    A proxy that was not there at first, or counts less than it did, began meanwhile: all it counts is new.
    """
    found: dict[tuple[str, str], Counted] = {}
    for key, now in last["rows"].items():
        one = found.setdefault((now["caller"], now["service"]), Counted(now["caller"], now["service"]))
        old = first["rows"].get(key) or {}
        new = {word: _number(now[word]) for word, _ in COUNTS}
        was = {word: _number(old.get(word, 0)) for word, _ in COUNTS}
        if any(new[word] < was[word] for word in new):
            was = dict.fromkeys(was, 0.0)
        one.tried += new["tried"] - was["tried"]
        one.failed += new["failed"] - was["failed"]
        one.tls += new["tls"] - was["tls"]
        one.before_tried += was["tried"]
        one.before_failed += max(was["failed"], was["tls"])
    return sorted(found.values(), key=lambda each: (-each.bad, each.caller, each.service))


def _number(raw: Any) -> float:
    found = number(raw)
    if found is None or found < 0:
        raise ValueError(f"{raw!r} is no count")
    return found


def judge(readings: Sequence[Reading], budget: float) -> Verdict:
    """Fail when a caller lost LEAST connections to a service, and more of them than the usual share and the budget explain.

    Of less, or of looks that could not be taken, nothing follows: pass or unknown, never a fail. Never raises.
    """
    if not readings or readings[-1].blind:
        why = readings[-1].blind if readings else "nobody looked"
        return Verdict(answer=Answer.UNKNOWN, because=f"callers' connections can't be seen: {why}")
    seen = [each for each in readings if not each.blind]
    if len(seen) < 2:
        return Verdict(answer=Answer.UNKNOWN, because="one look so far; a change needs two")
    try:
        several = counted(seen[0].data, seen[-1].data)
    except (ValueError, KeyError, TypeError, AttributeError) as odd:
        return Verdict(answer=Answer.UNKNOWN, because=f"what was read of callers is not complete: {odd}")
    for each in several:
        if each.breaks(budget):
            since = f"{seen[0].at:%H:%M:%S}Z"
            because = f"caller {each.caller}: {each} since {since}, at most {budget:.0%} above the usual"
            return Verdict(
                answer=Answer.FAIL,
                because=because,
                object=f"service {each.service}",
                names=(each.service,),
                hopeless=True,
            )
    tried, bad = sum(each.tried for each in several), sum(each.bad for each in several)
    return Verdict(answer=Answer.PASS, because=f"{bad:.0f} of {tried:.0f} new connections of callers failed")


def failing(readings: Sequence[Reading], budget: float, found: Verdict) -> tuple[Failing, ...]:
    """Say what failed, and what each caller counted."""
    seen = [each for each in readings if not each.blind]
    if len(seen) < 2 or found.answer is not Answer.FAIL:
        return ()
    several = [each for each in counted(seen[0].data, seen[-1].data) if each.service in found.names and each.tried]
    worst = next((each for each in several if each.breaks(budget)), None)
    if worst is None:
        return ()
    window = seen[-1].elapsed_s - seen[0].elapsed_s
    return (
        Failing(
            metric="connections while it restarts",
            service=worst.service,
            view=f"caller {worst.caller}",
            unit="share",
            of="new connections",
            value=worst.share,
            bound=worst.usual + budget,
            n=worst.tried,
            window_s=window,
            since=f"{seen[0].at:%H:%M:%S}Z, when the restart began",
            source=str(seen[-1].data.get("source") or ""),
            callers=tuple(f"{each.caller}: {each}" for each in several[:5]),
        ),
    )
