"""Answers as bytes: objects made to JSON once per version, lists and tables put together from them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from meshup.model.transport import Response
from meshup.simulate.api import tables
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.store import Obj, Store

JSON = {"content-type": "application/json"}


def packed(value: Any) -> bytes:
    """Write JSON as short as it goes."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def plain(status: int, value: Any) -> Response:
    """Answer with a JSON value."""
    return Response(status=status, headers=JSON, body=packed(value))


def text(status: int, body: str) -> Response:
    """Answer with text."""
    return Response(status=status, headers={"content-type": "text/plain; charset=utf-8"}, body=body.encode())


def refused(refusal: Refusal) -> Response:
    """Answer with a Status; 429 says when to come again."""
    headers = {**JSON, "retry-after": "1"} if refusal.code == 429 else JSON
    return Response(status=refusal.code, headers=headers, body=packed(refusal.status()))


def single(store: Store, kind: Kind, obj: Obj) -> bytes:
    """Write one object with its kind, in the version asked for."""
    body = store.encoded(obj)
    return b'{"kind":"%b","apiVersion":"%b",%b' % (kind.kind.encode(), kind.api_version.encode(), body[1:])


def wants(accept: str) -> str:
    """Tell how objects shall come: Table, PartialObjectMetadata, or "" as they are. Raises Refusal 406."""
    offered = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    streams = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
    for each in accept.split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        if kind not in ("application/json", "*/*", "application/*", ""):
            continue
        chosen = dict(part.partition("=")[::2] for part in parameters)
        wanted = chosen.get("as", "")
        if wanted in ("", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
            return wanted
    raise Refusal(406, f"406: Not Acceptable\n\nAvailable representations: {offered}, {streams}", details={})


def partial(obj: Obj) -> Obj:
    """Give the metadata of an object alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def shown(store: Store, kind: Kind, obj: Obj, how: str, *, now: datetime, columns: list[Obj], include: str) -> bytes:
    """Write one object as asked for."""
    if how == "Table":
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return packed(tables.table(kind, [obj], columns=columns, meta=meta, now=now, include=include))
    if how == "PartialObjectMetadata":
        return packed(partial(obj))
    if how == "PartialObjectMetadataList":
        raise Refusal(
            406, f"you requested PartialObjectMetadataList, but the requested object is not a list ({kind.kind})"
        )
    meta = obj["metadata"]
    if store.get(kind.key, meta.get("namespace", ""), meta["name"]) is not obj:
        return packed({**obj, "kind": kind.kind, "apiVersion": kind.api_version})
    return single(store, kind, obj)


def listed(
    store: Store,
    kind: Kind,
    objects: Iterable[Obj],
    meta: Obj,
    how: str,
    *,
    now: datetime,
    columns: list[Obj],
    include: str,
) -> bytes:
    """Write a list as asked for. Items of built-in kinds carry no kind of their own, as with the real server."""
    if how == "Table":
        meta = {key: value for key, value in meta.items() if value != ""}
        return packed(tables.table(kind, list(objects), columns=columns, meta=meta, now=now, include=include))
    if how == "PartialObjectMetadata":
        raise Refusal(
            406, f"you requested PartialObjectMetadata, but the requested object is a list (*core.{kind.kind}List)"
        )
    if how == "PartialObjectMetadataList":
        items = [partial(each) for each in objects]
        return packed(
            {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items}
        )
    if kind.custom:
        bodies = [single(store, kind, each) for each in objects]
    else:
        bodies = [store.encoded(each) for each in objects]
    head = b'{"kind":"%bList","apiVersion":"%b","metadata":%b,"items":[' % (
        kind.kind.encode(),
        kind.api_version.encode(),
        packed(meta),
    )
    return head + b",".join(bodies) + b"]}"
