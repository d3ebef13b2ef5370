"""From the flags of a command line to a session: which cluster, which clock, who asks, who is told."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshup.model.problem import Refused, UsageError

if TYPE_CHECKING:
    from meshup.cluster.door import Cluster
    from meshup.cluster.retry import Again
    from meshup.engine.session import Session
    from meshup.model.events import Retried, Watcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What the command line says of the cluster. Empty = not said."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()


@dataclass(slots=True)
class Interrupt:
    """SIGINT and SIGTERM: the first asks to stop at the next safe point, the second ends within a second."""

    asked: bool = False

    def listen(self) -> Interrupt:
        """Take over both signals. Gives itself."""
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, self._heard)
        return self

    def __call__(self) -> bool:
        """Tell whether the user asked to stop."""
        return self.asked

    def _heard(self, _number: int, _frame: object) -> None:
        if self.asked:
            # The journal was written before each act, so ending here loses nothing.
            os.write(2, b"\nstopped   at once; meshup apply --resume goes on                                exit 130\n")
            os._exit(130)
        self.asked = True
        os.write(2, b"\nstopping  the current write is finished and journalled first; once more stops at once\n")


def door(aim: Aim) -> Cluster:
    """Open the door to the cluster that the flags and the kubeconfig name. Raises UsageError or Unreachable."""
    from meshup.cluster.connect import connect
    from meshup.cluster.kubeconfig import Choice, access

    choice = Choice(
        kubeconfig=aim.kubeconfig, context=aim.context, namespace=aim.namespace, user=aim.user, groups=aim.groups
    )
    return connect(access(choice))


def session(
    cluster: Cluster,
    *,
    watcher: Watcher | None = None,
    interrupt: Interrupt | None = None,
    wait_s: float = 0.0,
    journal: str = "",
) -> Session:
    """Bundle what the engine needs. Asks the server once who we are. Raises Unreachable for an anonymous identity."""
    from meshup.cli.kinds import drivers, gates, steps
    from meshup.engine.hearing import Hearing
    from meshup.engine.session import Session, Silence, never
    from meshup.journal.holder import on_behalf_of, this_process

    folder = _journal(journal)
    if interrupt is not None:
        cluster.stop_when(interrupt)
    if watcher is not None:
        cluster.observe(lambda again: watcher.tell(_retried(again, cluster)))
    identity = cluster.whoami()
    return Session(
        cluster=cluster,
        clock=cluster.clock,
        drivers=drivers(),
        steps=steps(),
        gates=gates(),
        identity=identity,
        holder=this_process(identity.user),
        fenced=cluster.fenced,
        watcher=watcher or Silence(),
        interrupted=interrupt or never,
        wait_s=wait_s,
        journal_folder=folder,
        on_behalf_of=on_behalf_of(os.environ),
        hearing=None if cluster.is_simulator() else Hearing(cluster.once()),
    )


def _journal(path: str) -> Path | None:
    """Make the folder of --journal, before the lock is taken for a run that could not be recorded. Raises Refused."""
    if not path:
        return None
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        why = "" if os.access(folder, os.W_OK | os.X_OK) else "it may not be written to"
    except OSError as failed:
        why = failed.strerror or str(failed)
    if why:
        raise Refused(
            f"the journal folder {path} can't be written: {why}",
            code="MU2313",
            fix="correct --journal, then run the same command again",
            cluster="nothing was changed",
        )
    return folder


def _retried(again: Again, cluster: Cluster) -> Retried:
    from meshup.model.events import Retried

    return Retried(at=cluster.clock.now(), request=again.doing, why=again.why, tries=again.number, wait_s=again.wait_s)


def seconds(text: str, *, flag: str) -> float:
    """Read a length of time such as 30m; 0 for "". Raises UsageError."""
    from meshup.model.duration import parse

    if not text:
        return 0.0
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(
            f'{flag} takes a length of time such as 30m, not "{text}"',
            code="MU1001",
            fix=f"correct {flag}",
            why=str(error),
            cluster="not contacted",
        ) from error


def one_of(value: str, known: tuple[str, ...], *, flag: str) -> str:
    """Check a word against those that are known. Raises UsageError (MU1008)."""
    if value not in known:
        raise UsageError(
            f'{flag} takes {", ".join(known[:-1])} or {known[-1]}, not "{value}"'
            if len(known) > 1
            else f'{flag} takes {known[0]}, not "{value}"',
            code="MU1008",
            fix=f"correct {flag}",
            cluster="not contacted",
        )
    return value
