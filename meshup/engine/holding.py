"""One process's part of a run: the lock it holds and the guard it beats."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

from meshup.cluster.errors import ApiError, lacking
from meshup.cluster.ports import Writer
from meshup.engine.probe import missing_rights
from meshup.engine.session import Session
from meshup.engine.wait import Pause
from meshup.journal import summaries
from meshup.journal.lease import Lock
from meshup.journal.runs import heads
from meshup.model.events import Waits
from meshup.model.objects import Ref
from meshup.model.plan import Plan
from meshup.model.problem import MeshupError

GUARD_BEAT_S = 10.0


class GuardBeat:
    """Beats the guard's Lease while one is armed, so that the guard knows meshup is alive."""

    def __init__(self, session: Session, cluster: Writer) -> None:
        self._session, self._cluster = session, cluster
        self._lease: Ref | None = None
        self._last = float("-inf")

    def aim(self, lease: Ref | None) -> None:
        """Beat this Lease from now on, None = none."""
        self._lease, self._last = lease, float("-inf")
        self.beat()

    def beat(self) -> None:
        """Renew when it is time; a Lease that is gone is not an error here: gates judge the guard."""
        now = self._session.clock.elapsed()
        if self._lease is None or now - self._last < GUARD_BEAT_S:
            return
        renewed = self._session.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        try:
            self._cluster.merge_patch(
                self._lease, {"spec": {"renewTime": renewed, "holderIdentity": self._session.holder.name}}
            )
        except ApiError:
            return
        self._last = now


class Run:
    """One process's part of a run.

    locked: false for a service rollback, whose owner has no right on the cluster's Lease; its pin is what others look at.
    """

    def __init__(self, session: Session, plan: Plan, *, locked: bool = True) -> None:
        self.session, self.plan = session, plan
        self.lock = Lock(session.cluster, session.clock, session.holder, terms=session.lock_terms) if locked else None
        self.writer = session.fenced(self.lock.fence) if self.lock is not None else session.cluster
        self.guard = GuardBeat(session, self.writer)
        self.pause = Pause(session, beat=self._beat, next_command=plan.again)
        self.began = session.clock.elapsed()

    def _beat(self) -> None:
        if self.lock is not None:
            self.lock.beat()
        self.guard.beat()

    def must_be_permitted(self) -> None:
        """Raise Forbidden with every right of the plan that is missing, before anything is written."""
        missing = missing_rights(self.session.cluster, self.plan.permissions)
        if missing:
            raise lacking(self.session.identity.user, missing)

    def refuse_if_alive(self) -> None:
        """Refuse (MU2301) while a living process holds the lock, before anything else is found wrong."""
        if self.lock is not None:
            self.lock.refuse_if_alive(pause=self._waiting())

    def take_lock(self) -> int:
        """Take the lock; waits for one that stands still. Without a lock: the epoch of the newest run on record."""
        if self.lock is None:
            return newest_epoch(self.session)
        return self.lock.acquire(newest_epoch=lambda: newest_epoch(self.session), pause=self._waiting())

    def _waiting(self) -> Callable[[str, float, float], None]:
        pause = Pause(self.session, beat=lambda: None, next_command="meshup apply")

        def wait(why: str, elapsed: float, limit: float) -> None:
            self.session.watcher.tell(
                Waits(
                    at=self.session.clock.now(),
                    place="",
                    gate="",
                    object="Lease meshup-system/meshup",
                    because=why,
                    elapsed_s=elapsed,
                    limit_s=limit,
                )
            )
            pause.beside(min(5.0, max(0.1, limit - elapsed)))

        return wait

    @property
    def took_over(self) -> bool:
        """Tell whether the lock was taken from somebody who did not give it back."""
        return self.lock is not None and self.lock.took_over

    def let_go(self) -> None:
        """Give the lock back; never raises."""
        if self.lock is None:
            return
        try:
            self.lock.release()
        except MeshupError:
            return


def newest_epoch(session: Session) -> int:
    """Give the highest epoch on record beside the Lease, in journals and summaries; 0 when there was no run."""
    in_journals = max((head.epoch for head in heads(session.cluster)), default=0)
    served = (summaries.API_VERSION, summaries.KIND) in session.cluster.kinds()
    return max(in_journals, summaries.newest_epoch(session.cluster) if served else 0)
