"""Releases that are bad, as they show in a cluster: what fails, when proxies end, and what users suffered by release."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from meshup.model.objects import dig
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Obj
from meshup.simulate.world.badness import NOTHING, Asked, Bad, Effect, effect

USUAL_MIB = 64.0
"""What a proxy takes that does not leak."""
LIMIT_MIB = 1024.0
"""Where the node ends it: the limit that injectors give proxies (world/injector.py)."""
LAST_S = 1.0
"""How long callers still send requests to a proxy that has been killed, before its pod is no longer ready."""


@dataclass(slots=True)
class Suffered:
    """What users had from pods of one release. failed and slowed: because it is bad, not those that fail anywhere."""

    requests: float = 0.0
    failed: float = 0.0
    slowed: float = 0.0


@dataclass(slots=True)
class Stream:
    """Failures of one kind of request, drawn one after the other. due: the expected count at which the next one comes."""

    expected: float = 0.0
    due: float = 0.0
    drawn: int = 0


@dataclass(slots=True)
class Proxy:
    """One proxy of a bad release. born: when its pod was made; since: when it started last; both on the elapsed clock."""

    pod: Obj
    release: str
    born: float
    since: float


class Releases:
    """Which releases are bad. count: brings the traffic of a pod up to date; end: lets the proxy of a pod start again.

    Failures are drawn as soon as one release is bad. A failure comes when as many are expected as a Poisson process of rate 1
    has reached, which depends on the seed and on who calls whom, and not on how often somebody reads.
    """

    def __init__(self, server: ApiServer, *, seed: int) -> None:
        self._server, self._seed = server, seed
        self.bad: dict[str, Bad] = {}
        self.suffered: dict[str, Suffered] = {}
        self.ending: set[str] = set()
        self.proxies: dict[str, Proxy] = {}
        self.count: Callable[[Obj], None] = lambda _pod: None
        self.end: Callable[[Obj], None] = lambda _pod: None
        self.reject: Callable[[Obj], None] = lambda _pod: None
        self._streams: dict[tuple[object, ...], Stream] = {}

    def of(self, release: str) -> tuple[Bad, ...]:
        """Give the ways in which a release is bad."""
        return tuple(each for each in self.bad.values() if each.release == release)

    def effect(self, release: str, asked: Asked) -> Effect:
        """Give what a release does to a request that one of its proxies takes."""
        found = NOTHING
        for each in self.of(release):
            found += effect(each, asked)
        return found

    def begin(self, pod: Obj, release: str) -> None:
        """Take note of a pod that got ready; only its first time counts."""
        uid, now = str(pod["metadata"]["uid"]), self._server.clock.elapsed()
        several = self.of(release)
        if not several or uid in self.proxies:
            return
        born = now - _age_s(pod, self._server.clock.now())
        self.proxies[uid] = Proxy(pod=pod, release=release, born=born, since=now)
        for each in several:
            if each.kind == "late":
                self._server.clock.call_at(born + each.after, lambda: self._counted(uid))
            elif each.kind == "leaky":
                self._leak(uid, each)
            elif each.kind == "config":
                self.reject(pod)

    def changed(self) -> None:
        """Let every proxy that does not understand its configuration reject a change of it."""
        for proxy in self.proxies.values():
            if any(each.kind == "config" for each in self.of(proxy.release)):
                self.reject(proxy.pod)

    def gone(self, uid: str) -> None:
        """Forget a pod."""
        self.proxies.pop(uid, None)
        self.ending.discard(uid)

    def began(self, uid: str, otherwise: float) -> float:
        """Give when the proxy of a pod started last, on the elapsed clock, where that is known."""
        found = self.proxies.get(uid)
        return found.since if found is not None else otherwise

    def memory_mib(self, release: str, running_s: float) -> float:
        """Give what a proxy takes so long after its start."""
        grown = sum(each.grows for each in self.of(release)) * max(0.0, running_s) / 60
        return min(USUAL_MIB + grown, LIMIT_MIB)

    def age_s(self, uid: str, moment: float) -> float:
        """Give how old a pod of a bad release was; 0 for any other."""
        found = self.proxies.get(uid)
        return moment - found.born if found is not None else 0.0

    def chosen(self, callee: str, callers: tuple[str, ...]) -> str:
        """Draw one of the callers of a service, "" when nobody calls it."""
        if not callers:
            return ""
        return callers[int(self._chance("caller", callee) * len(callers))]

    def drawn(self, stream: tuple[object, ...], expected: float) -> float:
        """Draw how many failures come of so many more that are expected. stream: who calls whom, and what for."""
        found = self._streams.get(stream)
        if found is None:
            found = self._streams[stream] = Stream(due=self._gap(stream, 0))
        found.expected += expected
        before = found.drawn
        while found.due <= found.expected:
            found.drawn += 1
            found.due += self._gap(stream, found.drawn)
        return float(found.drawn - before)

    def suffer(self, release: str, *, requests: float, failed: float, slowed: float) -> None:
        """Count what users had from a pod of a release."""
        found = self.suffered.setdefault(release, Suffered())
        found.requests += requests
        found.failed += failed
        found.slowed += slowed

    def _leak(self, uid: str, bad: Bad) -> None:
        wait = (LIMIT_MIB - USUAL_MIB) / bad.grows * 60
        self._server.clock.call_later(wait, lambda: self._kill(uid, bad))

    def _kill(self, uid: str, bad: Bad) -> None:
        found = self.proxies.get(uid)
        if found is None or bad not in self.bad.values():
            return
        self._counted(uid)
        self.ending.add(uid)
        self._server.clock.call_later(LAST_S, lambda: self._killed(uid, bad))

    def _killed(self, uid: str, bad: Bad) -> None:
        found = self.proxies.get(uid)
        if found is None:
            return
        self._counted(uid)
        self.ending.discard(uid)
        found.since = self._server.clock.elapsed()
        self.end(found.pod)
        self._leak(uid, bad)

    def _counted(self, uid: str) -> None:
        found = self.proxies.get(uid)
        if found is not None:
            self.count(found.pod)

    def _chance(self, *what: object) -> float:
        """Give a number in [0, 1) that depends on the seed and on what it is for."""
        raw = blake2b(repr((self._seed, *what)).encode(), digest_size=7).digest()
        return int.from_bytes(raw, "big") / 2**56

    def _gap(self, stream: tuple[object, ...], number: int) -> float:
        return -math.log(1.0 - self._chance(*stream, number))


def _age_s(pod: Obj, now: datetime) -> float:
    """Give how old a pod is, 0 for one whose clock runs ahead."""
    made = str(dig(pod, "metadata", "creationTimestamp") or "")
    return max(0.0, (now - datetime.fromisoformat(made)).total_seconds()) if made else 0.0
