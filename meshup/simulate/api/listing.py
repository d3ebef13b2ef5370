"""Lists: selection, pages with tokens that expire, versions."""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping

from meshup.simulate.api import selectors
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.problems import Refusal, bad_request, cause, invalid
from meshup.simulate.api.store import Obj, Store

KEPT = 200
"""Lists in pages that are remembered at a time; older ones have expired."""
LIFE_S = 300.0
"""How long a page token lives: as the real server's default compaction."""


class Pages:
    """What is left of lists that are read in pages: the objects as they were when the list began."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._kept: OrderedDict[str, tuple[float, str, list[Obj]]] = OrderedDict()
        self._made = 0

    def keep(self, version: str, rest: list[Obj]) -> str:
        """Remember the rest and give its token."""
        self._made += 1
        meta = rest[0]["metadata"]
        start = f"{meta.get('namespace', '')}/{meta['name']}\u0000"
        made = {"v": "meta.k8s.io/v1", "rv": int(version), "start": start, "n": self._made}
        token = base64.urlsafe_b64encode(json.dumps(made, separators=(",", ":")).encode()).decode().rstrip("=")
        self._kept[token] = (self._elapsed(), version, rest)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return token

    def rest(self, token: str) -> tuple[str, list[Obj]]:
        """Give version and rest of a list. Raises Refusal: 410 when it has expired, 400 when it is no token."""
        found = self._kept.get(token)
        if found is not None and self._elapsed() - found[0] <= LIFE_S:
            return found[1], found[2]
        try:
            json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))["rv"]
        except (ValueError, KeyError, TypeError):
            why = "invalid character '\u00ae' looking for beginning of value"
            raise bad_request(f"invalid continue token: continue key is not valid: {why}") from None
        raise Refusal(
            410,
            "The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter.",
            reason="Expired",
        )

    def forget(self) -> None:
        """Let every token expire."""
        self._kept.clear()


def select(store: Store, kind: Kind, namespace: str, query: Mapping[str, str], pages: Pages) -> tuple[list[Obj], Obj]:
    """Give the objects of one page and the list's metadata. Raises Refusal."""
    check_versions(store, query)
    test = selectors.both(
        selectors.labels(query.get("labelSelector", "")),
        selectors.fields(query.get("fieldSelector", ""), kind.group, kind.plural, custom=kind.custom),
    )
    limit = int(query.get("limit") or 0)
    if query.get("resourceVersion") == "0" and not query.get("continue"):
        limit = 0
    if query.get("continue"):
        version, rest = pages.rest(query["continue"])
    else:
        version, rest = str(store.version), list(store.list(kind.key, namespace))
        if query.get("resourceVersionMatch") == "Exact":
            version, rest = query["resourceVersion"], _as_of(store, kind, namespace, int(query["resourceVersion"]))
    meta: Obj = {"resourceVersion": version, **({"continue": ""} if kind.custom else {})}
    found: list[Obj] = []
    for number, each in enumerate(rest):
        if limit and len(found) == limit:
            meta["continue"] = pages.keep(version, rest[number:])
            if test is None:
                meta["remainingItemCount"] = len(rest) - number
            break
        if test is None or test(each):
            found.append(each)
    return found, meta


def check_versions(store: Store, query: Mapping[str, str]) -> None:
    """Check resourceVersion and resourceVersionMatch of a list."""
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if match and not version and not query.get("sendInitialEvents"):
        message = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise invalid("ListOptions", "meta.k8s.io", "", [cause("FieldValueForbidden", message, "resourceVersionMatch")])
    if not version:
        return
    number = version_number(version)
    if number > store.version:
        refusal = Refusal(504, f"Too large resource version: {number}, current: {store.version}", reason="Timeout")
        refusal.details = {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }
        raise refusal
    if match == "Exact" and number < store.oldest:
        raise Refusal(410, f"The resourceVersion for the provided list is too old: {number}", reason="Expired")


def check_initial(query: Mapping[str, str]) -> None:
    """Check what a watch needs that begins with what is there. Raises Refusal."""
    if query.get("sendInitialEvents") is not None and query.get("resourceVersionMatch") != "NotOlderThan":
        message = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise invalid("ListOptions", "meta.k8s.io", "", [cause("FieldValueForbidden", message, "resourceVersionMatch")])


def _as_of(store: Store, kind: Kind, namespace: str, version: int) -> list[Obj]:
    """Give the objects of a kind as they were, by taking back every change since."""
    found = {
        (each["metadata"].get("namespace", ""), each["metadata"]["name"]): each
        for each in store.list(kind.key, namespace)
    }
    for change in reversed(list(store.since(version))):
        if change.key == kind.key and (not namespace or change.namespace == namespace):
            at = (change.namespace, change.name)
            if change.old is None:
                found.pop(at, None)
            else:
                found[at] = change.old
    return [found[each] for each in sorted(found)]


def version_number(text: str) -> int:
    """Read a resourceVersion. Raises Refusal as the real server does."""
    try:
        return int(text or "0")
    except ValueError:
        why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise Refusal(500, why, reason="") from None
