"""Plans beside their runs: compressed, named by their digest, in pieces that a ConfigMap can hold."""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import zlib
from collections import defaultdict
from typing import Any

from meshup.cluster.ports import Reader, Writer
from meshup.journal.home import HOME, MANAGED, make_once
from meshup.journal.store import refuse_secrets
from meshup.model.objects import Object, annotated, dig
from meshup.model.problem import Refused

PIECE = 640 * 1024
MOST = 64 * 1024 * 1024
PLAN = "meshup.dev/plan"
PIECES = "meshup.dev/pieces"
NUMBER = "meshup.dev/piece"
SHA = "meshup.dev/sha256"


def keep_plan(cluster: Writer, digest: str, text: str) -> None:
    """Store a plan's text under its digest. Safe to repeat, also after a kill between pieces.

    A piece's name holds the digest of the packed bytes, so that pieces packed by another version never mix.
    """
    for each in _documents(text):
        refuse_secrets(each)
    packed = gzip.compress(text.encode(), mtime=0)
    sha = hashlib.sha256(packed).hexdigest()
    pieces = [packed[at : at + PIECE] for at in range(0, len(packed), PIECE)]
    for number, piece in enumerate(pieces):
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"plan-{_short(digest)}-{sha[:8]}-{number:03d}",
                "namespace": HOME,
                "labels": {**MANAGED, PLAN: _short(digest)},
                "annotations": {PIECES: str(len(pieces)), NUMBER: str(number), SHA: sha},
            },
            "binaryData": {"plan.gz": base64.b64encode(piece).decode()},
            "immutable": True,
        }
        make_once(cluster, body)


def read_plan(cluster: Reader, digest: str) -> str:
    """Give the text of a stored plan. Raises Refused (MU2314) when no whole, unaltered set of pieces is there."""
    sets: dict[str, dict[int, Object]] = defaultdict(dict)
    for each in cluster.list("v1", "ConfigMap", namespace=HOME, labels=f"{PLAN}={_short(digest)}"):
        number = annotated(each).get(NUMBER, "")
        if number.isascii() and number.isdigit():
            sets[annotated(each).get(SHA, "")][int(number)] = each
    if not sets:
        raise _gone(digest, "it is not there")
    for sha, pieces in sorted(sets.items()):
        text = _joined(sha, pieces)
        if text is not None:
            return text
    raise _gone(digest, "a piece is missing, or its bytes do not match their digest")


def _documents(text: str) -> list[Any]:
    """Read one JSON document, or one per line."""
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def _joined(sha: str, pieces: dict[int, Object]) -> str | None:
    wanted = annotated(next(iter(pieces.values()))).get(PIECES, "")
    if sorted(pieces) != list(range(len(pieces))) or wanted != str(len(pieces)):
        return None
    try:
        packed = b"".join(
            base64.b64decode(str(dig(pieces[number], "binaryData", "plan.gz") or "")) for number in range(len(pieces))
        )
        if hashlib.sha256(packed).hexdigest() != sha:
            return None
        opened = zlib.decompressobj(wbits=31)
        text = opened.decompress(packed, MOST)
        return text.decode() if opened.eof else None
    except (binascii.Error, zlib.error, UnicodeDecodeError):
        return None


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:20]


def _gone(digest: str, why: str) -> Refused:
    return Refused(
        f"the stored plan {_short(digest)} in {HOME} can't be used",
        code="MU2314",
        why=why,
        fix="meshup rollback --run RUN --print shows the way back; meshup plan makes a new plan",
        cluster="nothing was changed",
    )
