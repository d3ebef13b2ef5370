"""success-rate, latency, new-connections: the moved workload and its callers, from counters between two readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from meshup.gates.counting import MIN_FOR_FAIL, Count, Counted, floor_of, made, rate, times
from meshup.gates.failing import MOST_CALLERS, since, sourced
from meshup.gates.finding import number
from meshup.gates.gate import Eyes, Terms
from meshup.gates.judging import careful, told
from meshup.gates.prometheus import AHEAD_S
from meshup.gates.scrape import Reset, deltas, window
from meshup.gates.sources import observed
from meshup.model.scene import Failing
from meshup.model.verdict import Answer, Patience, Reading, Verdict

OWN = "itself"
QUIET = frozenset({"hold", "pool"})
NOTHING_SEEN = "no service was seen; nothing seen is not a pass"
STALE_S = 600.0
"""Counts over a window that ended longer ago than this, the ingest delay included, are of another time."""


def _unknown(because: str, *, names: tuple[str, ...] = (), missing: int = 0) -> Verdict:
    return Verdict(answer=Answer.UNKNOWN, because=because, names=names, missing=missing)


def _views(
    first: Mapping[str, Any], last: Mapping[str, Any], service: str
) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Give (who sees it, first counters, last counters): the service itself, then each caller."""
    now, before = last["services"][service], (first.get("services") or {}).get(service) or {}
    views = [(OWN, before.get("own") or {}, now.get("own") or {})]
    callers = now.get("callers") or {}
    views += [
        (f"caller {name}", (before.get("callers") or {}).get(name) or {}, seen)
        for name, seen in sorted(callers.items())
    ]
    return views


def _pair(readings: Sequence[Reading], terms: Terms) -> tuple[Mapping[str, Any], Mapping[str, Any], float] | str:
    """Give (data counts start from, newest data, seconds between); a sentence when that can't be told."""
    last = readings[-1].data
    if "window_s" in last:
        return _over_a_window(readings[-1])
    found = window(readings, terms.patience.window_s)
    if isinstance(found, str):
        return found
    for each in found:
        if not _seen(each.data):
            return NOTHING_SEEN
    if not set(found[1].data["services"]) <= set(found[0].data["services"]):
        # One that its owner took out meanwhile is in the earlier one alone, and is not judged.
        return "the readings are not of the same services"
    if found[1].elapsed_s <= found[0].elapsed_s:
        return "the readings have no time between them"
    return found[0].data, found[1].data, found[1].elapsed_s - found[0].elapsed_s


def _over_a_window(reading: Reading) -> tuple[Mapping[str, Any], Mapping[str, Any], float] | str:
    """Take one reading whose counts are those of a window already, as Prometheus gives them."""
    seconds, at = number(reading.data["window_s"]), number(reading.data.get("at"))
    if not _seen(reading.data):
        return NOTHING_SEEN
    if seconds is None or seconds <= 0:
        return "the window has no length"
    if at is None or reading.at.timestamp() - at > STALE_S:
        return "what Prometheus told is stale"
    if at - reading.at.timestamp() > AHEAD_S:
        return "what Prometheus told is ahead of this clock"
    return {}, reading.data, seconds


def _seen(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("services"), Mapping) and bool(data["services"] or data.get("runs"))


def more(have: float, need: float, seconds: float, what: str) -> str:
    """Say how much is missing and about how long that takes at this rate."""
    if have <= 0:
        return f"0 of {need:.0f} {what} in {seconds:.0f} s; no traffic is no evidence"
    left = (need - have) * seconds / have
    about = f"{left:.0f} s" if left < 120 else f"{left / 60:.0f} min"
    return f"{have:.0f} of {need:.0f} {what}, about {about} more at this rate"


def _needed(terms: Terms, usual: int) -> int:
    return max(1, terms.patience.least or usual)


def _judged(
    readings: Sequence[Reading],
    terms: Terms,
    *,
    least: int,
    what: str,
    one: Count,
    own_life: bool = False,
    least_is_worst: bool = False,
) -> Verdict:
    """Run one judgement over every view of every service; the worst decides. one: counts between two sets of counters.

    own_life: a service's own view counts since its pods began, not since the first reading. least_is_worst: of two views
    that pass, the one with the smaller value is the worse.
    """
    pair = _pair(readings, terms)
    if isinstance(pair, str):
        return _unknown(pair)
    first, last, seconds = pair
    ran = _runs(last.get("runs") or {})
    if ran is not None and ran.answer is not Answer.PASS:
        return ran
    if ran is not None and not last["services"]:
        return ran
    total = windowed = lived = 0.0
    texts: list[tuple[float, str]] = []
    thin: list[tuple[float, str]] = []
    doubts: list[tuple[str, str]] = []
    pooled = terms.params.get("quiet", "hold") == "pool"
    for service in last["services"]:
        seen, within = 0.0, 0.0
        for who, before, now in _views(first, last, service):
            try:
                whole = own_life and who == OWN
                if whole:
                    deltas(before, now)  # raises for a proxy that restarted: it has forgotten
                count, answer, text, value = one({} if whole else before, now)
            except Reset as reset:
                return _unknown(
                    f"{service}: {reset}: a proxy restarted, so this window can't be judged", names=(service,)
                )
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                return _unknown(f"{service}: the reading is not complete ({error})", names=(service,))
            seen = max(seen, count)
            lived += count if whole else 0.0
            within = within if whole else max(within, count)
            if answer is Answer.FAIL:
                return Verdict(
                    answer=Answer.FAIL,
                    because=f"{service} seen by {who}: {text}",
                    object=f"service {service}",
                    names=(service,),
                )
            if answer is Answer.PASS:
                texts.append((value, text))
            elif text:
                doubts.append((service, f"{service} seen by {who}: {text}"))
        total += seen
        windowed += within
        if seen < least:
            thin.append((seen, service))
    if pooled and thin and total >= least:
        quiet = [name for _, name in thin]
        count, answer, text, value = _together(first, last, quiet, one)
        doubts = [each for each in doubts if each[0] not in quiet]
        if answer is Answer.FAIL:
            because = f"{len(quiet)} quiet services together: {text}"
            return Verdict(answer=Answer.FAIL, because=because, names=tuple(quiet))
        if answer is Answer.PASS and count >= 1:
            thin = []
            texts.append((value, text))
        elif text:
            doubts += [(name, f"{len(quiet)} quiet services together: {text}") for name in quiet]
    if doubts:
        return _unknown(doubts[0][1], names=tuple(dict.fromkeys(name for name, _ in doubts)))
    if thin:
        have, service = min(thin)
        return _unknown(
            f"{service}: {more(have, least, seconds, what)}",
            names=tuple(name for _, name in thin),
            missing=int(least - have),
        )
    if not texts:
        return _unknown(f"0 of {least} {what} in {seconds:.0f} s; no traffic is no evidence", missing=least)
    counted = f"{total:.0f} {what} in {seconds:.0f} s"
    if own_life:
        counted = f"{lived:.0f} {what} to present pods since they began, {windowed:.0f} of callers in {seconds:.0f} s"
    because = f"{counted}; worst view: {_worst(texts, least=least_is_worst)}{told(last)}"
    return Verdict(answer=Answer.PASS, because=because)


def _together(
    first: Mapping[str, Any],
    last: Mapping[str, Any],
    services: Sequence[str],
    one: Count,
) -> Counted:
    """Judge several quiet services as one: their own view, then their callers'; the worse of the two decides.

    A view in doubt is worse than one that passes.
    """
    befores: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    nows: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    for service in services:
        for who, before, now in _views(first, last, service):
            own = who == OWN
            befores[own].update({f"{service} {who} {uid}": edge for uid, edge in before.items()})
            nows[own].update({f"{service} {who} {uid}": edge for uid, edge in now.items()})
    found = [one(befores[own], nows[own]) for own in (True, False)]
    known = [each for each in found if each[1] is not Answer.UNKNOWN]
    doubt = next((each for each in found if each[1] is Answer.UNKNOWN and each[2]), None)
    if doubt is not None and all(each[1] is not Answer.FAIL for each in known):
        return doubt
    return max(known, key=lambda each: (each[1], each[0])) if known else found[0]


def _failed(
    readings: Sequence[Reading], terms: Terms, found: Verdict, one: Count, *, says: Failing, own_life: bool = False
) -> tuple[Failing, ...]:
    """Say what failed of the one service that a verdict names. says: what the metric is, with its bound and its unit."""
    pair = _pair(readings, terms)
    if isinstance(pair, str) or len(found.names) != 1 or found.names[0] not in pair[1]["services"]:
        return ()
    first, last, seconds = pair
    (service,) = found.names
    rows = [
        (who, one({} if own_life and who == OWN else before, now)) for who, before, now in _views(first, last, service)
    ]
    bad = next(((who, row) for who, row in rows if row[1] is Answer.FAIL), None)
    if bad is None:
        return ()
    who, (count, _, _, value) = bad
    worst = sorted((row for row in rows if row[0] != OWN and row[1][2]), key=lambda row: (-row[1][1], row[0]))
    source, query = sourced(last)
    return (
        replace(
            says,
            service=service,
            view=who,
            value=value,
            n=count,
            window_s=0.0 if own_life and who == OWN else seconds,
            since=since(readings),
            source=source,
            query=query,
            callers=tuple(f"{who.removeprefix('caller ')}: {row[2]}" for who, row in worst[:MOST_CALLERS]),
        ),
    )


def _runs(runs: Mapping[str, Any]) -> Verdict | None:
    """Judge periodic services by how their newest run with a proxy ended; None when there are none."""
    for name, row in runs.items():
        phase = row.get("phase") if isinstance(row, Mapping) else None
        if phase == "Failed":
            return Verdict(
                answer=Answer.FAIL,
                because=f"{name}: its last run failed, pod {row.get('pod')}",
                object=f"Pod {row.get('pod')}",
                names=(str(name),),
            )
        if phase != "Succeeded":
            return _unknown(f"{name}: no run with a proxy has ended yet; it waits for the next one", names=(str(name),))
    return (
        Verdict(answer=Answer.PASS, because=f"the last run of {len(runs)} periodic services succeeded with a proxy")
        if runs
        else None
    )


def _worst(texts: Sequence[tuple[float, str]], *, least: bool) -> str:
    """Give the words of the view that came nearest to its bound; of equals the first."""
    return (min if least else max)(texts, key=lambda each: each[0])[1]


class SuccessRate:
    """Requests that did not fail, as the moved service and each of its meshed callers counted them."""

    kind: ClassVar[str] = "success-rate"
    title: ClassVar[str] = "requests succeed, seen by the service and by its callers"
    reads: ClassVar[str] = "request counters of the service's proxies and of its callers' and the gateway's"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "floor": (float, 0.99, "least share of requests that must succeed, 0 to 1"),
        "quiet": (str, "hold", "services with little traffic: hold (each needs its evidence) or pool (judged by wave)"),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"proxy-counters"})
    patience: ClassVar[Patience] = Patience(limit_s=600, every_s=15, in_a_row=2, least=100, window_s=120)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Read both sides of every service."""
        return observed(eyes, reads="requests", longest_s=terms.patience.window_s)

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide from counts between two readings."""
        least = max(MIN_FOR_FAIL, _needed(terms, 100))
        return _judged(readings, terms, least=least, what="requests", one=rate(floor_of(terms)), least_is_worst=True)

    def failing(self, readings: Sequence[Reading], terms: Terms, found: Verdict) -> tuple[Failing, ...]:
        """Say what failed, and what each caller counted."""
        says = Failing(metric=self.kind, service="", view="", unit="share", of="requests", bound=floor_of(terms))
        return _failed(readings, terms, found, rate(floor_of(terms)), says=says)


class Latency:
    """A quantile of request times from Envoy's histogram; its resolution is that of the buckets, and it says so."""

    kind: ClassVar[str] = "latency"
    title: ClassVar[str] = "requests are answered in time, seen by the service and by its callers"
    reads: ClassVar[str] = "upstream_rq_time histograms of the service's proxies and of its callers'"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "quantile": (float, 0.99, "which share of requests must be faster, 0 to 1"),
        "limit-ms": (float, 1000.0, "the bound in milliseconds"),
        "quiet": (str, "hold", "services with little traffic: hold or pool"),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"proxy-counters"})
    patience: ClassVar[Patience] = Patience(limit_s=600, every_s=15, in_a_row=2, least=100, window_s=120)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Read both sides of every service."""
        return observed(eyes, reads="buckets", longest_s=terms.patience.window_s)

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide from bucket counts: the share of requests at or below the first bucket bound that covers the limit."""
        least = max(MIN_FOR_FAIL, _needed(terms, 100))
        return _judged(readings, terms, least=least, what="timed requests", one=times(terms))

    def failing(self, readings: Sequence[Reading], terms: Terms, found: Verdict) -> tuple[Failing, ...]:
        """Say what failed, and what each caller waited for."""
        bound = float(terms.params.get("limit-ms", 1000.0))
        name = f"latency p{terms.params.get('quantile', 0.99) * 100:g}"
        says = Failing(metric=name, service="", view="", unit="ms", of="timed requests", bound=bound)
        return _failed(readings, terms, found, times(terms), says=says)


class NewConnections:
    """New connections that could not be made, as the callers count them: where errors begin when pods move."""

    kind: ClassVar[str] = "new-connections"
    title: ClassVar[str] = "callers can open new connections"
    reads: ClassVar[str] = (
        "upstream_cx_total and upstream_cx_connect_fail at the callers and the gateway, and since its pods began at itself"
    )
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "max-failure-ratio": (float, 0.01, "largest share of new connections that may fail, 0 to 1"),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"proxy-counters"})
    patience: ClassVar[Patience] = Patience(limit_s=600, every_s=15, in_a_row=2, least=5, window_s=300)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Read both sides of every service."""
        return observed(eyes, reads="connections", longest_s=terms.patience.window_s)

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide from connections between two readings, and at the service itself from those since its pods began.

        Clients keep their connections, so a service that was not restarted may go for hours without a new one; those
        that were made to its present pods tell as well that they can be made.
        """
        one = made(terms)
        return _judged(readings, terms, least=_needed(terms, 5), what="new connections", one=one, own_life=True)

    def failing(self, readings: Sequence[Reading], terms: Terms, found: Verdict) -> tuple[Failing, ...]:
        """Say what failed, and how each caller fared."""
        bound = float(terms.params.get("max-failure-ratio", 0.01))
        says = Failing(metric=self.kind, service="", view="", unit="share", of="new connections", bound=bound)
        return _failed(readings, terms, found, made(terms), says=says, own_life=True)
