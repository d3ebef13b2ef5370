"""One process's part of a run: the lock it holds and the guard it beats."""

from __future__ import annotations

from datetime import UTC

from meshup.cluster.errors import ApiError, lacking
from meshup.cluster.ports import Writer
from meshup.engine.probe import missing_rights
from meshup.engine.session import Session
from meshup.engine.wait import Pause
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
    """One process's part of a run."""

    def __init__(self, session: Session, plan: Plan) -> None:
        self.session, self.plan = session, plan
        self.lock = Lock(session.cluster, session.clock, session.holder, terms=session.lock_terms)
        self.writer = session.fenced(self.lock.fence)
        self.guard = GuardBeat(session, self.writer)
        self.pause = Pause(session, beat=self._beat, next_command="meshup apply --resume")
        self.began = session.clock.elapsed()

    def _beat(self) -> None:
        self.lock.beat()
        self.guard.beat()

    def must_be_permitted(self) -> None:
        """Raise Forbidden with every right of the plan that is missing, before anything is written."""
        missing = missing_rights(self.session.cluster, self.plan.permissions)
        if missing:
            raise lacking(self.session.identity.user, missing)

    def take_lock(self) -> int:
        """Take the lock; waits for one that stands still."""
        pause = Pause(self.session, beat=lambda: None, next_command="meshup apply")

        def waiting(why: str, elapsed: float, limit: float) -> None:
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
            pause.sleep(min(5.0, max(0.1, limit - elapsed)))

        def newest() -> int:
            return max((head.epoch for head in heads(self.session.cluster)), default=0)

        return self.lock.acquire(newest_epoch=newest, pause=waiting)

    def let_go(self) -> None:
        """Give the lock back; never raises."""
        try:
            self.lock.release()
        except MeshupError:
            return
