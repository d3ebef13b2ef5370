"""Where a run's entries are kept: appended by compare-and-swap, read back whole, never edited."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from meshup.model.journal import Entry, Judgement
from meshup.model.kept import packed, unpacked
from meshup.model.problem import Refused
from meshup.model.text import clean
from meshup.model.wire import dump, load

SCHEMA = "meshup.dev/journal/v1"


class JournalStore(Protocol):
    """One run's journal. `append` returns only when the entries are certainly stored."""

    run: str

    def append(self, entries: Sequence[Entry]) -> None:
        """Store entries in order. Raises Refused when another process has written since, or when it is too big."""
        ...

    def entries(self) -> tuple[Entry, ...]:
        """Give every entry in order. Raises Refused when the record is damaged or of a newer format."""
        ...


def to_line(entry: Entry) -> str:
    """Give an entry as one line of JSON, keys sorted."""
    raw = dump(entry)
    refuse_secrets(raw)
    if isinstance(entry, Judgement):
        raw["judged"]["readings"] = packed(raw["judged"]["readings"])
    return json.dumps(raw, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def refuse_secrets(raw: Any) -> None:
    """Raise Refused (MU2315) when a Secret's values are anywhere in plain JSON that is about to be stored."""
    waiting = [raw]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            if each.get("kind") == "Secret" and (each.get("data") or each.get("stringData")):
                name = (each.get("metadata") or {}).get("name") or "without a name"
                raise Refused(
                    f"the values of Secret {clean(name)} would be stored in the journal",
                    code="MU2315",
                    fix="let the manifests name the Secret, and create it apart",
                    cluster="nothing was stored and nothing was sent",
                )
            waiting.extend(each.values())
        elif isinstance(each, list | tuple):
            waiting.extend(each)


def from_line(line: str, *, where: str) -> Entry:
    """Read one line. Raises Refused (MU2311) naming the place when it does not fit."""
    try:
        raw = json.loads(line)
        judged = raw.get("judged") if isinstance(raw, dict) else None
        if isinstance(judged, dict) and "readings" in judged:
            judged["readings"] = unpacked(judged["readings"])
        found: Entry = load(Entry, raw)
    except (ValueError, KeyError) as error:
        raise damaged(where, str(error)) from error
    return found


def damaged(where: str, why: str) -> Refused:
    """Make the error of a journal that can't be trusted."""
    return Refused(
        f"the journal is damaged: {where}",
        code="MU2311",
        why=why,
        fix="meshup status --print lists what meshup made, by label; kubectl get configmap -n meshup-system keeps the rest",
        cluster="nothing was changed",
    )


class Copy(JournalStore, Protocol):
    """A store that can follow another."""

    def become(self, entries: Sequence[Entry]) -> None:
        """Hold exactly these entries: what a kill left here alone goes, what is missing comes."""
        ...


class BothStores:
    """The cluster's journal, and the same lines in files: a file that can't be written stops the act before it."""

    def __init__(self, cluster: JournalStore, files: Copy) -> None:
        self._cluster, self._files = cluster, files
        self.run = cluster.run

    def append(self, entries: Sequence[Entry]) -> None:
        """Store in the files first: what the cluster has, the files have."""
        self._files.append(entries)
        self._cluster.append(entries)

    def entries(self) -> tuple[Entry, ...]:
        """Give the cluster's entries; they are the truth, and the files are made equal to them."""
        found = self._cluster.entries()
        if found:
            self._files.become(found)
        return found
