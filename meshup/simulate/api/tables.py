"""Tables as kubectl prints them: the columns a real server has, and what stands in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from meshup.model.objects import dig
from meshup.simulate.api import ages, cells, jsonpath
from meshup.simulate.api.kinds import Kind, shape
from meshup.simulate.api.store import Obj

NAME: Obj = {"name": "Name", "type": "string", "format": "name", "priority": 0, "description": ""}
AGE: Obj = {"name": "Age", "type": "date", "format": "", "priority": 0, "description": ""}
CREATED: Obj = {"name": "Created At", "type": "date", "format": "", "priority": 0, "description": ""}


@cache
def _recorded(path: str, plural: str) -> tuple[Obj, ...]:
    found = shape("columns.json").get(f"{path}/{plural}") or [NAME, CREATED]
    return tuple({"description": "", **each} for each in found)


def table(kind: Kind, objects: list[Obj], *, columns: list[Obj], meta: Obj, now: datetime, include: str) -> Obj:
    """Give a Table. columns: of a custom definition, [] for others. include: Metadata, Object or None."""
    if kind.custom:
        definitions, make = _custom(columns)
    else:
        definitions, make = list(_recorded(kind.version_path, kind.plural)), _built_in(kind)
    rows = []
    for obj in objects:
        row: Obj = {"cells": make(obj, now)}
        if include == "Object":
            row["object"] = {**obj, "apiVersion": kind.api_version, "kind": kind.kind}
        elif include != "None":
            row["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": obj["metadata"],
            }
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": definitions,
        "rows": rows,
    }


def _built_in(kind: Kind) -> Callable[[Obj, datetime], list[Any]]:
    rest = cells.BY_PLURAL.get((kind.group, kind.plural))

    def make(obj: Obj, now: datetime) -> list[Any]:
        name = obj["metadata"]["name"]
        if rest is None:
            return [name, obj["metadata"].get("creationTimestamp")]
        return [name, *rest(obj, now)]

    return make


def _custom(columns: list[Obj]) -> tuple[list[Obj], Callable[[Obj, datetime], list[Any]]]:
    wanted = columns or [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
    definitions: list[Obj] = [NAME]
    for each in wanted:
        definitions.append(
            {
                "name": each["name"],
                "type": each["type"],
                "format": each.get("format", ""),
                "description": each.get("description")
                or f"Custom resource definition column (in JSONPath format): {each['jsonPath']}",
                "priority": each.get("priority", 0),
            }
        )

    def make(obj: Obj, now: datetime) -> list[Any]:
        found: list[Any] = [obj["metadata"]["name"]]
        for each in wanted:
            value = jsonpath.first(obj, each["jsonPath"])
            if each["type"] == "date":
                found.append(ages.age(value, now) if value is not None else None)
            elif each["type"] == "string" and value is not None:
                found.append(jsonpath.text(value))
            else:
                found.append(value)
        return found

    return definitions, make


def columns_of(definition: Obj | None, version: str) -> list[Obj]:
    """Give the printer columns of one version of a definition."""
    for each in dig(definition, "spec", "versions") or ():
        if each["name"] == version:
            return list(each.get("additionalPrinterColumns") or ())
    return []
