"""The lock: a Lease for liveness, an epoch for safety (RELIABILITY section 3)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from meshup.cluster.clock import RealClock
from meshup.cluster.errors import AlreadyExists, ApiError, Away, Conflict, MaybeDone, NotFound, Temporary
from meshup.cluster.ports import Writer
from meshup.journal.holder import Holder, is_dead, read_holder
from meshup.journal.home import EPOCH, HOME, MANAGED, ensure_home, epoch_of
from meshup.model.clock import Clock
from meshup.model.objects import Object, Ref, annotated, dig
from meshup.model.problem import MeshupError, Refused
from meshup.model.text import clean

LEASE = Ref(api_version="coordination.k8s.io/v1", kind="Lease", namespace=HOME, name="meshup")
HOLDER = "meshup.dev/holder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Times of the lock in seconds of our own clock; remote timestamps are never compared.

    stop_after_s: no mutation later than this after the sending of the last confirmed renewal. takeover_s: a lease must
    be seen unchanged for so long before it is taken from a holder that may live.
    """

    duration_s: int = 60
    renew_s: float = 10.0
    stop_after_s: float = 30.0
    takeover_s: float = 60.0
    look_every_s: float = 5.0


TERMS = Terms()


class Beats:
    """A thread that calls something every so often until it is stopped or the call raises."""

    def __init__(self, call: Callable[[], None], *, every_s: float) -> None:
        self._call, self._every_s = call, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meshup-lease", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; a call under way is not waited for."""
        self._over.set()

    def _run(self) -> None:
        # What goes wrong here goes wrong again at the next fence, in the thread that can stop the run.
        with contextlib.suppress(MeshupError):
            while not self._over.wait(self._every_s):
                with contextlib.suppress(Temporary, Away, MaybeDone):
                    self._call()


class Lock:
    """One process's hold on the cluster. Safe to use from many threads.

    On the machine's own clock a thread renews it; on a virtual one each fence does, as nobody else moves that time.
    cluster: without a fence, as the lock is what the fence asks.
    """

    def __init__(self, cluster: Writer, clock: Clock, holder: Holder, *, terms: Terms = TERMS) -> None:
        self._cluster, self._clock, self._holder, self._terms = cluster, clock, holder, terms
        self._body: Object | None = None
        self._sent = 0.0
        self._guard = threading.RLock()
        self._beats: Beats | None = None
        self._seen: tuple[str, float] | None = None
        self.epoch = 0
        self.took_over = False

    def acquire(self, *, newest_epoch: Callable[[], int], pause: Callable[[str, float, float], None]) -> int:
        """Take the lock and give the new epoch.

        newest_epoch: of the newest run on record, so that a deleted Lease cannot lower it. pause(why, elapsed, limit)
        waits a little and may raise. Raises Refused (MU2301) when a living process holds it.
        """
        ensure_home(self._cluster)
        while True:
            found = self._cluster.find(LEASE)
            if found is None or self._is_free(found):
                holder = _holder(found)
                if self._take(found, newest_epoch()):
                    self.took_over = bool(holder) and holder != self._holder.name
                    return self.epoch
                continue
            waited = self._watched(found)
            if waited >= self._terms.takeover_s:
                if self._take(found, newest_epoch()):
                    self.took_over = True
                    return self.epoch
                continue
            pause(_unrenewed(found), waited, self._terms.takeover_s)

    def refuse_if_alive(self, *, pause: Callable[[str, float, float], None]) -> None:
        """Raise Refused (MU2301) when a living process holds the lock; writes nothing.

        Gives up after two beats without a renewal. What was seen counts for `acquire`, which may take it over then.
        """
        while True:
            found = self._cluster.find(LEASE)
            if found is None or self._is_free(found):
                return
            waited = self._watched(found)
            if waited > 2 * self._terms.renew_s:
                return
            pause(_unrenewed(found), waited, self._terms.takeover_s)

    def _is_free(self, found: Object) -> bool:
        holder = _holder(found)
        return not holder or holder == self._holder.name or _dead(found)

    def _watched(self, found: Object) -> float:
        """Give for how long this process has seen a lease unchanged. Raises Refused (MU2301) when it was renewed."""
        version = str(dig(found, "metadata", "resourceVersion"))
        if self._seen is None:
            # Counted from the answer of the first look, not from its start: the holder may have renewed in between.
            self._seen = version, self._clock.elapsed()
        elif self._seen[0] != version:
            raise self._held(found)
        return self._clock.elapsed() - self._seen[1]

    def beat(self) -> None:
        """Renew when it is time. Raises Refused (MU2302) when somebody else has the lock now."""
        with self._guard:
            if self._age() >= self._terms.renew_s:
                self._renew()

    def fence(self) -> None:
        """Check just before a mutation that the lock is certainly ours; renews first when it is not certain any more."""
        allowed = self._terms.renew_s if self._beats is None else self._terms.stop_after_s
        with self._guard:
            if self._body is None:
                raise self._lost("")
            while self._age() >= allowed:
                self._renew()

    def release(self) -> None:
        """Give the lock back; the epoch stays written. Never raises, and tries once: an ending must not wait."""
        if self._beats is not None:
            self._beats.stop()
            self._beats = None
        with self._guard:
            if self._body is None:
                return
            body = _with(self._body, holder="", clock=self._clock, terms=self._terms)
            self._body = None
            with contextlib.suppress(ApiError):
                self._cluster.once().replace(body)

    def _age(self) -> float:
        return self._clock.elapsed() - self._sent

    def _take(self, found: Object | None, newest: int) -> bool:
        epoch = 1 + max(newest, epoch_of(found))
        notes = {EPOCH: str(epoch), HOLDER: self._holder.to_json()}
        if found is None:
            meta: dict[str, Any] = {
                "name": LEASE.name,
                "namespace": HOME,
                "labels": dict(MANAGED),
                "annotations": notes,
            }
            fresh = {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": meta, "spec": {}}
        else:
            fresh = {**found, "metadata": {**found["metadata"], "annotations": {**annotated(found), **notes}}}
        body = _with(fresh, holder=self._holder.name, clock=self._clock, terms=self._terms)
        sent = self._clock.elapsed()
        try:
            taken = self._cluster.create(body) if found is None else self._cluster.replace(body)
        except (AlreadyExists, Conflict):
            return False
        except MaybeDone:
            now = self._cluster.find(LEASE)
            if now is None or not _same(now, body):
                return False
            taken = now
        with self._guard:
            self._body, self._sent, self.epoch = taken, sent, epoch
            if self._beats is None and isinstance(self._clock, RealClock):
                self._beats = Beats(self.beat, every_s=self._terms.renew_s)
        return True

    def _renew(self) -> None:
        """Renew once. Time counts from the sending of a renewal that is certainly stored, never from a look."""
        if self._body is None:
            raise self._lost("")
        body = _with(self._body, holder=self._holder.name, clock=self._clock, terms=self._terms)
        sent = self._clock.elapsed()
        try:
            self._body = self._cluster.replace(body)
        except (Conflict, MaybeDone, NotFound):
            now = self._cluster.find(LEASE)
            if now is None or _holder(now) != self._holder.name or epoch_of(now) != self.epoch:
                self._body = None
                raise self._lost(_holder(now)) from None
            self._body = now
            if not _same(now, body):
                return
        self._sent = sent

    def _held(self, found: Object) -> Refused:
        return Refused(
            f"another run holds the lock: {clean(_holder(found))}",
            code="MU2301",
            why=f"it has held it since {clean(dig(found, 'spec', 'acquireTime') or 'an unknown time')}, and renews its lease "
            f"{LEASE.namespace}/{LEASE.name}, so that run is alive",
            fix="meshup status --wait returns when it has ended; then the command again (or Ctrl-C where it runs)",
            cluster="nothing changed by this call",
        )

    def _lost(self, holder: str) -> Refused:
        return Refused(
            f"the lock was lost to {clean(holder) or 'nobody'}",
            code="MU2302",
            why="its lease was taken over, edited or deleted; nothing was written after that was seen",
            fix="meshup status, then meshup apply --resume",
            cluster="the last journalled change stands; nothing later was sent",
        )


def _with(body: Object, *, holder: str, clock: Clock, terms: Terms) -> dict[str, Any]:
    now = _micro(clock.now())
    old = dig(body, "spec") or {}
    changed = old.get("holderIdentity") != holder
    spec = {
        **old,
        "holderIdentity": holder,
        "leaseDurationSeconds": terms.duration_s,
        "renewTime": now,
        "acquireTime": now if changed else old.get("acquireTime", now),
        "leaseTransitions": int(old.get("leaseTransitions") or 0) + (1 if changed and holder else 0),
    }
    return {**body, "spec": spec}


def _unrenewed(found: Object) -> str:
    return f"lock held by {clean(_holder(found))}, not renewed so far"


def _micro(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _holder(found: Object | None) -> str:
    return str(dig(found, "spec", "holderIdentity") or "")


def _same(found: Object, sent: Object) -> bool:
    """Tell whether what is stored is the very write that was sent."""
    times = dig(found, "spec", "renewTime"), dig(sent, "spec", "renewTime")
    return _holder(found) == _holder(sent) and epoch_of(found) == epoch_of(sent) and times[0] == times[1]


def _dead(found: Object) -> bool:
    holder = read_holder(annotated(found).get(HOLDER, ""))
    return holder is not None and holder.name == _holder(found) and is_dead(holder)
