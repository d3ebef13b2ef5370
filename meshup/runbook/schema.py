"""The JSON Schema (draft 7) of a runbook, made from its form and the kinds; editors read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from meshup.model.duration import Duration, shown
from meshup.model.weights import Weights
from meshup.runbook.form import PatienceBlock, RunbookFile
from meshup.runbook.kinds import Kinds, Table

NAME = "https://meshup.dev/schema/runbook/v1"
DURATION = {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"}


def text(kinds: Kinds) -> str:
    """Give the schema as text, stable between runs."""
    return json.dumps(document(kinds), indent=2, sort_keys=True) + "\n"


def document(kinds: Kinds) -> dict[str, Any]:
    """Give the schema."""
    made = RunbookFile.model_json_schema(by_alias=True, ref_template="#/definitions/{model}")
    definitions: dict[str, Any] = made.pop("$defs", {})
    definitions["PatienceBlock"] = PatienceBlock.model_json_schema(by_alias=True)
    for name in ("limit", "every", "window"):
        definitions["PatienceBlock"]["properties"][name] = {
            **DURATION,
            "description": _described(definitions["PatienceBlock"], name),
        }
    steps = {"oneOf": [_item(kind, table) for kind, table in kinds.steps.items()]}
    gates = {"oneOf": [_item(kind, table, patience=True) for kind, table in kinds.gates.items()]}
    stage = definitions["StageBlock"]["properties"]
    stage["steps"]["items"], stage["gates"]["items"], stage["before"]["items"] = steps, gates, gates
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": NAME,
        **made,
        "title": "meshup runbook",
        "definitions": definitions,
    }


def _described(block: Mapping[str, Any], name: str) -> str:
    found = block["properties"][name].get("description", "")
    return str(found)


def _item(kind: str, table: Table, *, patience: bool = False) -> dict[str, Any]:
    properties = {name: _typed(of, default, meaning) for name, (of, default, meaning) in table.items()}
    needed = [name for name, (_, default, _) in table.items() if default is ...]
    body: dict[str, Any] = {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
    if needed:
        body["required"] = needed
    beside = {"patience": {"$ref": "#/definitions/PatienceBlock"}} if patience else {}
    return {"type": "object", "properties": {kind: body, **beside}, "required": [kind], "additionalProperties": False}


def _typed(of: Any, default: Any, meaning: str) -> dict[str, Any]:
    found: dict[str, Any] = {"description": meaning}
    if of is Duration:
        found.update(DURATION)
        if default is not ...:
            found["default"] = shown(default)
        return found
    found["type"] = {str: "string", int: "integer", float: "number", bool: "boolean"}.get(of, "array")
    if found["type"] == "array":
        percent = {"type": "integer", "minimum": 1, "maximum": 100}
        found["items"] = percent if of is Weights else {"type": "string"}
    if default not in (..., None):
        found["default"] = default
    return found
