"""The three patches: JSON patch (RFC 6902), merge patch (RFC 7386), strategic merge patch (Kubernetes)."""

from __future__ import annotations

from typing import Any

from meshup.simulate.api import schema as sc
from meshup.simulate.api.problems import Refusal, bad_request
from meshup.simulate.api.store import copied


def json_patch(obj: Any, operations: Any) -> Any:
    """Carry out operations in order; a test that fails refuses all of them."""
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    result = copied(obj)
    for each in operations:
        op = each.get("op")
        path = _pointer(each.get("path", ""))
        try:
            match op:
                case "add":
                    result = _add(result, path, copied(each.get("value")))
                case "remove":
                    result = _remove(result, path, each["path"])
                case "replace":
                    if isinstance(_parent(result, path), list):
                        result = _remove(result, path, each["path"])
                    result = _add(result, path, copied(each.get("value")), replacing=True)
                case "test":
                    if _find(result, path, each["path"], "test") != each.get("value"):
                        raise _unprocessable(f"testing value {each['path']} failed: test failed")
                case "move":
                    source = _pointer(each["from"])
                    value = _find(result, source, each["from"], "move")
                    result = _add(_remove(result, source, each["from"]), path, value)
                case "copy":
                    result = _add(result, path, copied(_find(result, _pointer(each["from"]), each["from"], "copy")))
                case _:
                    raise bad_request(f"Unexpected kind: {op}")
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise _unprocessable(f"{op} operation does not apply: doc is missing path: {each.get('path')}") from error
    return result


def _unprocessable(message: str) -> Refusal:
    return Refusal(422, "the server rejected our request due to an error in our request", reason="Invalid", details={})


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise bad_request(f"invalid JSON pointer {text}")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _find(obj: Any, path: list[str], text: str, op: str) -> Any:
    for step in path:
        if isinstance(obj, list):
            obj = obj[int(step)]
        elif isinstance(obj, dict) and step in obj:
            obj = obj[step]
        elif op == "test":
            return None
        else:
            raise _unprocessable(f"{op} operation does not apply: doc is missing key: {text}: missing value")
    return obj


def _parent(obj: Any, path: list[str]) -> Any:
    for step in path[:-1]:
        obj = obj[int(step)] if isinstance(obj, list) else obj[step]
    return obj


def _add(obj: Any, path: list[str], value: Any, *, replacing: bool = False) -> Any:
    if not path:
        return value
    parent = _parent(obj, path)
    if isinstance(parent, list):
        if path[-1] == "-":
            parent.append(value)
        else:
            at = int(path[-1])
            if at > len(parent):
                raise IndexError(at)
            parent.insert(at, value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise TypeError(replacing)
    return obj


def _remove(obj: Any, path: list[str], text: str) -> Any:
    if not path:
        return None
    parent = _parent(obj, path)
    if isinstance(parent, list):
        parent.pop(int(path[-1]))
    elif path[-1] in parent:
        del parent[path[-1]]
    else:
        raise _unprocessable(f"remove operation does not apply: doc is missing path: {text}: missing value")
    return obj


def merge_patch(obj: Any, patch: Any) -> Any:
    """Merge maps, replace everything else, remove what the patch sets to null."""
    if not isinstance(patch, dict):
        return patch
    result = dict(obj) if isinstance(obj, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


DIRECTIVES = ("$patch", "$retainKeys")


def strategic(obj: Any, patch: Any, node: dict[str, Any]) -> Any:
    """Merge by the schema's own merge keys, with its directives."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key not in DIRECTIVES}
    result = dict(obj) if isinstance(obj, dict) else {}
    retained = patch.get("$retainKeys")
    if isinstance(retained, list):
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        if key in DIRECTIVES or key.startswith("$setElementOrder/"):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [each for each in result.get(name, []) if each not in value]
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = strategic(result.get(key), value, sc.child(node, key))
        elif isinstance(value, list):
            order = patch.get(f"$setElementOrder/{key}")
            result[key] = _strategic_list(result.get(key), value, sc.raw_child(node, key), order)
        else:
            result[key] = value
    return result


def _strategic_list(old: Any, new: list[Any], raw: dict[str, Any], order: list[Any] | None) -> Any:
    if "merge" not in str(raw.get("x-kubernetes-patch-strategy", "")):
        return new
    key = raw.get("x-kubernetes-patch-merge-key")
    node = sc.item(sc.resolved(raw))
    before = list(old) if isinstance(old, list) else []
    server = list(before)
    if key is None:
        return _ordered(before + [each for each in new if each not in before], server, order or new, key)
    if any(isinstance(each, dict) and each.get("$patch") == "replace" for each in new):
        return [each for each in new if "$patch" not in each]
    for each in new:
        at = next((n for n, found in enumerate(before) if found.get(key) == each.get(key)), None)
        if each.get("$patch") == "delete":
            before = [found for found in before if found.get(key) != each.get(key)]
        elif at is None:
            before.append(each)
        else:
            before[at] = strategic(before[at], each, node)
    wanted = order or [each for each in new if "$patch" not in each]
    return _ordered(before, server, wanted, key)


def _ordered(merged: list[Any], server: list[Any], wanted: list[Any], key: str | None) -> list[Any]:
    """Order items as the patch wants them; those it does not name keep their place before what followed them."""

    def name(each: Any) -> Any:
        return each.get(key) if key is not None and isinstance(each, dict) else each

    places = {str(name(each)): number for number, each in enumerate(server)}
    ranks = {str(name(each)): number for number, each in enumerate(wanted)}
    left = sorted((each for each in merged if str(name(each)) not in ranks), key=lambda each: places[str(name(each))])
    right = sorted((each for each in merged if str(name(each)) in ranks), key=lambda each: ranks[str(name(each))])
    found = []
    while left and right:
        first, second = places.get(str(name(left[0]))), places.get(str(name(right[0])))
        earlier = first is not None and second is not None and first < second
        found.append(left.pop(0) if earlier else right.pop(0))
    return found + left + right
