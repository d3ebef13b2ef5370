"""The lock: a Lease for liveness, an epoch for safety (RELIABILITY section 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from meshup.cluster.errors import AlreadyExists, Conflict, MaybeDone
from meshup.cluster.ports import Writer
from meshup.journal.holder import Holder, is_dead, read_holder
from meshup.journal.home import EPOCH, HOME, MANAGED, ensure_home
from meshup.model.clock import Clock
from meshup.model.objects import Object, Ref, annotated, dig
from meshup.model.problem import Refused
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


class Lock:
    """One process's hold on the cluster. Not safe for several threads."""

    def __init__(self, cluster: Writer, clock: Clock, holder: Holder, *, terms: Terms = Terms()) -> None:
        self._cluster, self._clock, self._holder, self._terms = cluster, clock, holder, terms
        self._body: Object | None = None
        self._sent = 0.0
        self.epoch = 0
        self.took_over = False

    def acquire(self, *, newest_epoch: Callable[[], int], pause: Callable[[str, float, float], None]) -> int:
        """Take the lock and give the new epoch.

        newest_epoch: of the newest run on record, so that a deleted Lease cannot lower it. pause(why, elapsed, limit)
        waits a little and may raise. Raises Refused (MU2301) when a living process holds it.
        """
        ensure_home(self._cluster)
        began = self._clock.elapsed()
        unchanged: str | None = None
        while True:
            found = self._cluster.find(LEASE)
            holder = _holder(found)
            if found is None or not holder or holder == self._holder.name or _dead(found):
                self.took_over = bool(holder) and holder != self._holder.name
                if self._take(found, newest_epoch()):
                    return self.epoch
                continue
            version = str(dig(found, "metadata", "resourceVersion"))
            if unchanged is None:
                unchanged = version
            elif unchanged != version:
                raise self._held(found)
            waited = self._clock.elapsed() - began
            if waited >= self._terms.takeover_s:
                self.took_over = True
                if self._take(found, newest_epoch()):
                    return self.epoch
                continue
            pause(f"lock held by {clean(holder)}, not renewed so far", waited, self._terms.takeover_s)

    def beat(self) -> None:
        """Renew when it is time. Raises Refused (MU2302) when somebody else has the lock now."""
        if self._clock.elapsed() - self._sent >= self._terms.renew_s:
            self._renew()

    def fence(self) -> None:
        """Check just before a mutation that the lock is certainly ours; renews when it is not certain any more."""
        if self._clock.elapsed() - self._sent >= self._terms.stop_after_s:
            self._renew()

    def release(self) -> None:
        """Give the lock back; the epoch stays written. Never raises for a lock that is lost already."""
        if self._body is None:
            return
        body = _with(self._body, holder="", clock=self._clock, terms=self._terms)
        try:
            self._cluster.replace(body)
        except (Conflict, MaybeDone):
            return
        finally:
            self._body = None

    def _take(self, found: Object | None, newest: int) -> bool:
        self.epoch = 1 + max(newest, _epoch(found))
        sent = self._clock.elapsed()
        annotated = {EPOCH: str(self.epoch), HOLDER: self._holder.to_json()}
        try:
            if found is None:
                meta = {"name": LEASE.name, "namespace": HOME, "labels": dict(MANAGED), "annotations": annotated}
                fresh: Object = {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": meta, "spec": {}}
                self._body = self._cluster.create(
                    _with(fresh, holder=self._holder.name, clock=self._clock, terms=self._terms)
                )
            else:
                meta = {**found["metadata"], "annotations": {**annotated(found), **annotated}}
                body = _with(
                    {**found, "metadata": meta}, holder=self._holder.name, clock=self._clock, terms=self._terms
                )
                self._body = self._cluster.replace(body)
        except (AlreadyExists, Conflict):
            return False
        except MaybeDone:
            return self._is_ours_after_all(sent)
        self._sent = sent
        return True

    def _is_ours_after_all(self, sent: float) -> bool:
        found = self._cluster.find(LEASE)
        if found is None or _holder(found) != self._holder.name or _epoch(found) != self.epoch:
            return False
        self._body, self._sent = found, sent
        return True

    def _renew(self) -> None:
        if self._body is None:
            raise self._lost("")
        sent = self._clock.elapsed()
        try:
            self._body = self._cluster.replace(
                _with(self._body, holder=self._holder.name, clock=self._clock, terms=self._terms)
            )
        except (Conflict, MaybeDone):
            if not self._is_ours_after_all(sent):
                raise self._lost(_holder(self._cluster.find(LEASE))) from None
            return
        self._sent = sent

    def _held(self, found: Object) -> Refused:
        return Refused(
            f"another run holds the lock: {clean(_holder(found))}",
            code="MU2301",
            why=f"its lease {LEASE.namespace}/{LEASE.name} is being renewed, so that run is alive",
            fix="meshup status --watch",
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


def _micro(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _holder(found: Object | None) -> str:
    return str(dig(found, "spec", "holderIdentity") or "")


def _epoch(found: Object | None) -> int:
    text = annotated(found).get(EPOCH, "0") if found is not None else "0"
    return int(text) if text.isdigit() else 0


def _dead(found: Object) -> bool:
    holder = read_holder(annotated(found).get(HOLDER, ""))
    return holder is not None and holder.name == _holder(found) and is_dead(holder)
