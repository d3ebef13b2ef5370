"""Plans beside their runs: compressed, named by their digest, in pieces that a ConfigMap can hold."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping

from meshup.cluster.errors import AlreadyExists
from meshup.cluster.ports import Reader, Writer
from meshup.journal.home import HOME, MANAGED
from meshup.model.objects import Ref, dig
from meshup.model.problem import Refused

PIECE = 640 * 1024
PLAN = "meshup.dev/plan"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:20]


def keep_plan(cluster: Writer, digest: str, text: str) -> None:
    """Store a plan's text under its digest. Safe to repeat: equal content has equal names."""
    packed = gzip.compress(text.encode(), mtime=0)
    pieces = [packed[at : at + PIECE] for at in range(0, len(packed), PIECE)]
    for number, piece in enumerate(pieces):
        body: Mapping[str, object] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"plan-{_short(digest)}-{number:03d}",
                "namespace": HOME,
                "labels": {**MANAGED, PLAN: _short(digest)},
                "annotations": {
                    "meshup.dev/pieces": str(len(pieces)),
                    "meshup.dev/sha256": hashlib.sha256(packed).hexdigest(),
                },
            },
            "binaryData": {"plan.gz": base64.b64encode(piece).decode()},
            "immutable": True,
        }
        try:
            cluster.create(body)
        except AlreadyExists:
            continue


def read_plan(cluster: Reader, digest: str) -> str:
    """Give the text of a stored plan. Raises Refused (MU2314) when a piece is missing or altered."""
    packed = b""
    pieces, number = 1, 0
    wanted = ""
    while number < pieces:
        name = f"plan-{_short(digest)}-{number:03d}"
        found = cluster.find(Ref(api_version="v1", kind="ConfigMap", namespace=HOME, name=name))
        if found is None:
            raise _gone(name, "it is not there")
        pieces = int(dig(found, "metadata", "annotations", "meshup.dev/pieces") or 1)
        wanted = str(dig(found, "metadata", "annotations", "meshup.dev/sha256") or "")
        packed += base64.b64decode(str(dig(found, "binaryData", "plan.gz") or ""))
        number += 1
    if hashlib.sha256(packed).hexdigest() != wanted:
        raise _gone(f"plan-{_short(digest)}", "its bytes do not match their digest")
    return gzip.decompress(packed).decode()


def _gone(name: str, why: str) -> Refused:
    return Refused(
        f"the stored plan {HOME}/{name} can't be used",
        code="MU2314",
        why=why,
        fix="meshup rollback --run RUN --print shows the way back; meshup plan makes a new plan",
        cluster="nothing was changed",
    )
