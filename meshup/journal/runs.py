"""Which runs there are, from the labels of their segments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from meshup.cluster.ports import Reader, Writer
from meshup.journal.files import FileStore
from meshup.journal.home import HOME, RUN, epoch_of
from meshup.journal.in_cluster import SEGMENT, ClusterStore
from meshup.journal.store import BothStores, JournalStore
from meshup.model.objects import labels


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """One run as its segments' labels tell. epoch: the highest written."""

    run: str
    epoch: int
    segments: int


def heads(cluster: Reader) -> tuple[RunHead, ...]:
    """Give every run on record, oldest epoch first; empty when there was none."""
    found: dict[str, tuple[int, int]] = {}
    for each in cluster.list("v1", "ConfigMap", namespace=HOME, labels=SEGMENT):
        run = labels(each).get(RUN, "")
        epoch = epoch_of(each)
        before = found.get(run, (0, 0))
        found[run] = (max(before[0], epoch), before[1] + 1)
    return tuple(
        sorted(
            (RunHead(run=run, epoch=epoch, segments=count) for run, (epoch, count) in found.items()),
            key=lambda each: (each.epoch, each.run),
        )
    )


def open_store(cluster: Writer, run: str, *, epoch: int, folder: Path | None) -> JournalStore:
    """Open a run's journal in the cluster and, when a folder is given, in a file too."""
    return beside(ClusterStore(cluster, run, epoch=epoch), folder)


def beside(inside: JournalStore, folder: Path | None) -> JournalStore:
    """Give a journal that keeps its lines in a file too when a folder is given."""
    return inside if folder is None else BothStores(inside, FileStore(folder, inside.run))
