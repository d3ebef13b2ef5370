"""Before a cluster is given back, every run that its journal holds is judged again, and must come out the same bit for bit."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from e2e.providers import Provider, Reached
from meshup.cli.connect import Aim, door, session
from meshup.engine.pinning import name_of
from meshup.engine.replay import replay
from meshup.journal.in_pin import PinStore
from meshup.journal.ledger import pins
from meshup.journal.runs import heads
from meshup.model.text import amount
from meshup.views.replay import text


@dataclass(slots=True)
class Tally:
    """What was judged again so far. runs: those with a verdict. left: why a verdict is none that readings make -> how many such there were."""

    clusters: int = 0
    runs: int = 0
    verdicts: int = 0
    readings: int = 0
    differ: int = 0
    left: Counter[str] = field(default_factory=Counter)

    def judge(self, kubeconfig: Path, *, known: frozenset[str] = frozenset()) -> None:
        """Judge every run of a cluster again but those that were there before. Raises AssertionError where one differs."""
        around = session(door(Aim(kubeconfig=str(kubeconfig))))
        self.clusters += 1
        unlike = []
        for run in sorted(runs_of(kubeconfig) - known):
            found = replay(around, run=run)
            judged = [each for each in found.verdicts if each.now is not None]
            self.runs += bool(found.verdicts)
            self.verdicts += len(judged)
            self.readings += sum(each.readings for each in judged)
            self.differ += sum(not each.same for each in judged)
            self.left.update(each.why for each in found.verdicts if each.now is None)
            if not found.same:
                unlike.append(text(found, width=120))
        assert not unlike, "\n".join(unlike)

    def tell(self) -> list[str]:
        """Give the closing lines; none where there was no cluster."""
        if not self.clusters:
            return []
        what = f"{amount(self.runs, 'run')} of {amount(self.clusters, 'cluster')}"
        made = f"{amount(self.verdicts, 'verdict')} from {amount(self.readings, 'reading')}"
        lines = [f"replay: {what}, {made}, {self.differ} not the same bit for bit"]
        return [*lines, *(f"replay: left out {count}: {why}" for why, count in sorted(self.left.items()))]


TALLY = Tally()
"""Of this process; its lines stand below all tests."""


def runs_of(kubeconfig: Path) -> frozenset[str]:
    """Name the runs on record in a cluster, and as NAMESPACE/PIN the rollbacks of owners that moved something."""
    cluster = door(Aim(kubeconfig=str(kubeconfig)))
    own = [each for each in pins(cluster) if not each.copied and PinStore(cluster, each).entries()]
    return frozenset([*(each.run for each in heads(cluster)), *(name_of(each) for each in own)])


def simulated(state: Path) -> None:
    """Judge the runs of the simulator whose state folder this is, before it is stopped; nothing where none was started."""
    with contextlib.suppress(FileNotFoundError):
        TALLY.judge(Path(json.loads((state / "meshup/simulator/state.json").read_text("utf-8"))["kubeconfig"]))


class Replaying:
    """A provider whose clusters are judged again before they go; all else is as the provider within has it."""

    def __init__(self, within: Provider, evidence: Path) -> None:
        self._within, self._evidence = within, evidence
        self.name = within.name  # type: ignore[misc]

    def api_server(self, *, fake_nodes: int = 0) -> AbstractContextManager[Reached]:
        """Give a server of the provider within."""
        return self.lent(self._within.api_server(fake_nodes=fake_nodes))

    def cluster(self) -> AbstractContextManager[Reached]:
        """Give a cluster of the provider within."""
        return self.lent(self._within.cluster())

    def user(self, of: Reached, name: str, groups: Sequence[str] = ()) -> Path:
        """Give a kubeconfig of the provider within."""
        return self._within.user(of, name, groups)

    def collect(self, of: Reached, folder: Path) -> None:
        """Keep what the provider within keeps."""
        self._within.collect(of, folder)

    @contextlib.contextmanager
    def lent(self, cluster: AbstractContextManager[Reached]) -> Iterator[Reached]:
        """Lend any cluster. Where its runs can't be judged again as they were, its journals are kept."""
        with cluster as reached:
            known = runs_of(reached.kubeconfig)
            yield reached
            try:
                TALLY.judge(reached.kubeconfig, known=known)
            except BaseException:
                self.collect(reached, self._evidence / "replay")
                raise
