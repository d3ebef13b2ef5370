"""What the codes of lock and journal mean."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "MU2301": "Another run holds the lock and is alive: its lease is being renewed. Two runs never interleave. Wait "
    "for it (meshup status --wait), or stop it with Ctrl-C where it runs; a run whose lease stands still for 60 s is taken "
    "over by the next one, and one that died on this host at once. The rollback of one service needs no lock.",
    "MU2302": "The lock was lost while running: somebody took the lease over, edited or deleted it. Nothing was "
    "written after that was noticed. meshup status shows who goes on.",
    "MU2303": "The journal has entries that this process did not write: another one goes on with the same run. This "
    "one stops.",
    "MU2311": "The journal can't be read: a segment is missing, was edited, or was written by a newer meshup. "
    "Nothing is guessed from it; what meshup made carries the label meshup.dev/managed-by=meshup.",
    "MU2312": "An entry is too large for the journal (900 KiB). That is a plan with an enormous single change; "
    "split it.",
    "MU2313": "The folder given with --journal can't be written. Nothing is sent to the cluster before its record "
    "is on that disk too.",
    "MU2314": "The plan that is stored beside the run is missing or altered, so the run can't be resumed from it.",
    "MU2315": "A Secret's values were about to be written into a plan or a journal. They never are: nothing was "
    "stored and nothing was sent. Let the runbook name the Secret instead of carrying it.",
    "MU2316": "The pin can't be recorded: the definition (CRD) of MeshPin is not in the cluster and this identity "
    "may not install it, or the server does not accept it. A rollback without a record is refused. "
    "Somebody with the installer's rights runs any meshup command that pins once, or applies the file "
    "that is named.",
    "MU2317": "A pin of that name exists already with another content, or its phase can't go back. Phases only move "
    "forward: Requested, Active, then Closed or Failed.",
}
