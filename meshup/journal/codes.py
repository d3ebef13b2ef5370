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
    "MU3505": "Somebody else wrote to the record of the release after this command had read it. Nothing was changed; look "
    "at what they decided, then decide again.",
    "MU3506": "The record of a release can't be read: its state is none that meshup knows, a time is none, or it is of another "
    "version whose object would have the same name.",
    "MU2318": "The export does not hold: the line that is named is the first one that was edited, removed, moved, put in "
    "or cut off. Lines before it are as they were written. Nothing is read from such a file; take it from where it was "
    "kept, or begin another with meshup ledger export --out FILE, which holds what the cluster still has.",
    "MU2319": "The export is of another cluster, or an older state of a chain that was written further since: the heads "
    "of exports are kept in meshup-system (ConfigMap ledger-exports). Name the newest file of that chain, or begin another.",
    "MU2341": "The ledger can't be installed over what is there: a definition has a version that this meshup does not know, or "
    "a policy of that name was made by somebody else. Nothing is overwritten that meshup did not make.",
    "MU2342": "The policies of the ledger are written, and a forged record was still taken, or denied by something else, for "
    "90 s. Until meshup ledger install has seen ten denials in a row, every row of a report counts as declared.",
}
