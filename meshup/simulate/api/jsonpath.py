"""The part of JSONPath that printer columns use: fields, indexes, filters by equality, wildcards."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, TypeAlias

Step: TypeAlias = tuple[str, str, str]
"""(field | index | filter | all, first argument, second argument)."""

PATTERN = re.compile(
    r"""\.(?P<field>[A-Za-z0-9_/\\.-]*?(?:\\\.[A-Za-z0-9_/-]+)*[A-Za-z0-9_-]*)(?=[.\[]|$)
    |\[\?\(@\.(?P<key>[\w.-]+)\s*==\s*["'](?P<value>[^"']*)["']\)\]
    |\[(?P<index>-?\d+)\]
    |\[(?P<all>\*)\]
    |\[["'](?P<quoted>[^"']+)["']\]""",
    re.VERBOSE,
)


@cache
def _steps(path: str) -> tuple[Step, ...]:
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    hidden = text.replace("\\.", "\u0000")
    found: list[Step] = []
    at = 0
    while at < len(hidden):
        match = PATTERN.match(hidden, at)
        if match is None or match.end() == at:
            return (("never", "", ""),)
        at = match.end()
        if match["key"]:
            found.append(("filter", match["key"], match["value"]))
        elif match["index"]:
            found.append(("index", match["index"], ""))
        elif match["all"]:
            found.append(("all", "", ""))
        elif match["quoted"]:
            found.append(("field", match["quoted"].replace("\u0000", "."), ""))
        elif match["field"]:
            found.append(("field", match["field"].replace("\u0000", "."), ""))
    return tuple(found)


def every(obj: Any, path: str) -> list[Any]:
    """Give all values at a path, in order."""
    found = [obj]
    for sort, first_, second in _steps(path):
        after: list[Any] = []
        for each in found:
            if sort == "field" and isinstance(each, dict) and first_ in each:
                after.append(each[first_])
            elif sort == "index" and isinstance(each, list) and -len(each) <= int(first_) < len(each):
                after.append(each[int(first_)])
            elif sort == "all" and isinstance(each, list | dict):
                after.extend(each.values() if isinstance(each, dict) else each)
            elif sort == "filter" and isinstance(each, list):
                after.extend(one for one in each if isinstance(one, dict) and str(one.get(first_)) == second)
        found = after
    return found


def first(obj: Any, path: str) -> Any:
    """Give the first value at a path, None when there is none."""
    found = every(obj, path)
    return found[0] if found else None


def text(value: Any) -> str:
    """Write a value as a column of type string shows it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
