"""An owner's word on joining as an object of the cluster, and back: written once, read with the ones before it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from meshup.cluster.errors import NotFound
from meshup.cluster.ports import Reader, Writer
from meshup.journal.home import MANAGED
from meshup.journal.once import write_once
from meshup.journal.pin import REASON_MOST, requested_by
from meshup.model.moment import instant, stamp
from meshup.model.objects import Object, Ref, dig
from meshup.model.optin import OptInRecord
from meshup.model.problem import Refused
from meshup.model.text import clean

API_VERSION = "meshup.dev/v1"
KIND = "OptIn"
PLURAL = "optins"


def optin_name(*, cluster_uid: str, record: OptInRecord, after: str) -> str:
    """Give a record's name: equal for an equal word that follows the same one. after: UID of that one, "" = none."""
    until = stamp(record.not_before) if record.not_before else ""
    parts = [cluster_uid, record.id, record.joins, record.wave, until, record.user, record.reason, after]
    plain = re.sub(r"[^a-z0-9-]+", "-", record.service.lower()).strip("-")[:40].strip("-")
    return f"{plain or 'service'}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}"


def to_body(record: OptInRecord) -> dict[str, Any]:
    """Give the object that records a word."""
    workload = record.workload
    spec: dict[str, Any] = {
        "service": record.service,
        "workload": {
            "apiVersion": workload.api_version,
            "kind": workload.kind,
            "name": workload.name,
            "uid": record.workload_uid,
        },
        "joins": record.joins,
        "requestedBy": requested_by(user=record.user, uid=record.user_uid, groups_digest=record.user_groups_digest),
        "at": stamp(record.at),
    }
    if record.wave:
        spec["wave"] = record.wave
    if record.not_before is not None:
        spec["notBefore"] = stamp(record.not_before)
    if record.reason:
        spec["reason"] = clean(record.reason, limit=REASON_MOST)
    if record.on_behalf_of:
        trust = record.on_behalf_trust or "declared"
        spec["onBehalfOf"] = {"name": clean(record.on_behalf_of, limit=REASON_MOST), "trust": trust}
    meta = {"name": record.name, "namespace": record.namespace, "labels": dict(MANAGED)}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "spec": spec}


def from_body(found: Object) -> OptInRecord:
    """Read a word. Texts are cleaned. Raises ValueError when a time is none; what does not say that it joins stays out."""
    workload = dig(found, "spec", "workload") or {}
    namespace = _word(found, "metadata", "namespace")
    trust = dig(found, "spec", "onBehalfOf", "trust")
    at = _time(dig(found, "spec", "at"))
    if at is None:
        raise ValueError("it does not say when it was given")
    return OptInRecord(
        name=_word(found, "metadata", "name"),
        namespace=namespace,
        service=_word(found, "spec", "service").rpartition("/")[2],
        workload=Ref(
            api_version=clean(workload.get("apiVersion") or ""),
            kind=clean(workload.get("kind") or ""),
            namespace=namespace,
            name=clean(workload.get("name") or ""),
        ),
        workload_uid=clean(workload.get("uid") or ""),
        joins=dig(found, "spec", "joins") is True,
        user=_word(found, "spec", "requestedBy", "username"),
        user_uid=_word(found, "spec", "requestedBy", "uid"),
        user_groups_digest=_word(found, "spec", "requestedBy", "groupsDigest"),
        at=at,
        reason=_word(found, "spec", "reason"),
        wave=_word(found, "spec", "wave"),
        not_before=_time(dig(found, "spec", "notBefore")),
        on_behalf_of=_word(found, "spec", "onBehalfOf", "name"),
        on_behalf_trust="verified" if trust == "verified" else "declared" if trust == "declared" else "",
        made=_time(dig(found, "metadata", "creationTimestamp")),
        uid=_word(found, "metadata", "uid"),
    )


def latest(found: Iterable[Object]) -> tuple[Mapping[str, OptInRecord], tuple[str, ...]]:
    """Give service id -> the word that counts, and the names of records that can't be read.

    The one the server stored last counts. Of two within one of its seconds the later by its own time does, and then the
    one that says no: an opt-out always wins.
    """
    said: dict[str, OptInRecord] = {}
    odd: list[str] = []
    for each in found:
        try:
            record = from_body(each)
        except ValueError:
            odd.append(f"{dig(each, 'metadata', 'namespace')}/{dig(each, 'metadata', 'name')}")
            continue
        before = said.get(record.id)
        if before is None or _order(before) < _order(record):
            said[record.id] = record
    return said, tuple(sorted(odd))


def optins(cluster: Reader, *, namespace: str = "") -> Mapping[str, OptInRecord]:
    """Give service id -> the word that counts, read most recent; empty when the kind is not served."""
    try:
        return latest(list(cluster.list(API_VERSION, KIND, namespace=namespace)))[0]
    except NotFound:
        return {}


def record(cluster: Writer, word: OptInRecord, *, pause: Callable[[float], None]) -> OptInRecord:
    """Write a word once and give it as it is stored. Safe to repeat: the same word meets itself.

    Raises Refused: MU2316 when it can't be recorded, MU2317 when another word has the name.
    """

    def refused(code: str, why: str) -> Refused:
        return _not_written(word, code, why)

    def same(there: Object) -> bool:
        return _same(from_body(there), word)

    written = write_once(cluster, PLURAL, to_body(word), noun="word", same=same, refused=refused, pause=pause)
    return from_body(written)


def _same(found: OptInRecord, meant: OptInRecord) -> bool:
    """Compare what was said, not when: of two equal words at once the first is the record of both."""
    return (found.joins, found.wave, found.not_before, found.user) == (
        meant.joins,
        meant.wave,
        meant.not_before,
        meant.user,
    )


def _order(word: OptInRecord) -> tuple[datetime, datetime, bool, str]:
    return word.made or datetime.max.replace(tzinfo=UTC), word.at, not word.joins, word.name


def _not_written(word: OptInRecord, code: str, why: str) -> Refused:
    return Refused(
        f"what was said about {word.id} can't be recorded",
        code=code,
        why=why,
        fix=f"kubectl get optins -n {word.namespace} shows what is on record; then run the command again",
        cluster="nothing was changed",
    )


def _word(found: Object, *path: str) -> str:
    return clean(dig(found, *path) or "", limit=512)


def _time(text: object) -> datetime | None:
    return instant(text) if text else None
