"""A run's summary for `kubectl get meshruns`, where its definition is installed; the journal stays the truth."""

from __future__ import annotations

from typing import Any

from meshup.cluster.errors import AlreadyExists
from meshup.cluster.ports import Reader
from meshup.engine.holding import Run
from meshup.engine.log import RunLog
from meshup.journal.home import MANAGED
from meshup.journal.summaries import API_VERSION, KIND
from meshup.model.events import Outcome
from meshup.model.objects import Ref
from meshup.model.problem import MeshupError
from meshup.model.text import clean

MOST = 1024


class Summary:
    """Writes one run's MeshRun. Never raises and never holds a run up: one try of at most 5 s; after a failure no more.

    A service rollback has none: its owner has no right outside their namespace, and its MeshPin says the same.
    """

    def __init__(self, run: Run, log: RunLog) -> None:
        self._run, self._log = run, log
        self._on = run.lock is not None and _is_served(run.session.cluster)

    def begin(self) -> None:
        """Say that the run is under way."""
        if not self._on:
            return
        session, plan, state = self._run.session, self._run.plan, self._log.state
        user = {"name": session.identity.user, **({"uid": session.identity.uid} if session.identity.uid else {})}
        spec = {
            "plan": plan.digest,
            "kind": plan.kind,
            "runbook": plan.runbook,
            "user": user,
            "at": state.started_at,
            **({"onBehalfOf": session.on_behalf_of} if session.on_behalf_of else {}),
        }
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": state.run, "labels": dict(MANAGED)},
            "spec": spec,
        }
        try:
            session.cluster.once().create(body)
        except AlreadyExists:
            pass
        except MeshupError:
            self._on = False
        self._say(phase="Running", epoch=self._log.epoch, exit=0, why="", next="")

    def at(self, place: str) -> None:
        """Say which place is being performed."""
        self._say(place=place)

    def end(self, outcome: Outcome) -> None:
        """Say how the run ended."""
        ends = "Finished" if outcome.exit == 0 else "Stopped"
        why, further = clean(outcome.why, limit=MOST), clean(outcome.next[0] if outcome.next else "", limit=MOST)
        self._say(phase=ends, exit=outcome.exit, why=why, next=further)

    def _say(self, **status: Any) -> None:
        if not self._on:
            return
        ref = Ref(api_version=API_VERSION, kind=KIND, name=self._log.state.run)
        try:
            self._run.session.cluster.once().update_status(ref, status)
        except MeshupError:
            self._on = False


def _is_served(cluster: Reader) -> bool:
    try:
        return (API_VERSION, KIND) in cluster.kinds()
    except MeshupError:
        return False
