"""What of a release fits what is there: proxies of other releases, and the bundles of shared definitions."""

from __future__ import annotations

import re

from meshup.meshes.istio.words import FACTS, GATEWAY_API, minor
from meshup.model.objects import Ref, annotated, dig, ref_of
from meshup.model.snapshot import Snapshot

BUNDLE = "gateway.networking.k8s.io/bundle-version"


def between(plane: str, proxy: str) -> str | None:
    """Say why proxies of one release may not be served by a control plane of another (istio.io, supported releases).

    "" = they may. None = nothing is known of the control plane's release, or the proxy's is no release.
    """
    facts, ours, theirs = FACTS.get(minor(plane)), minor(plane), minor(proxy)
    if facts is None or not theirs:
        return None
    ahead = _number(ours) - _number(theirs)
    if ours.split(".")[0] != theirs.split(".")[0]:
        return f"{proxy} and {plane} are of different major releases"
    if ahead < 0:
        return f"a proxy of {proxy} is ahead of a control plane of {plane}, which it must never be"
    if ahead > facts.ahead:
        through = f"{ours.split('.')[0]}.{_number(theirs) + facts.ahead}"
        return f"{plane} is {ahead} minor releases ahead of {proxy}, at most {facts.ahead} at a time: go through {through} first"
    return ""


def _number(line: str) -> int:
    return int(line.split(".")[1])


def ignored(snapshot: Snapshot, release: str) -> dict[Ref, str]:
    """Name Gateway API definitions outside a release's bounds, and why."""
    facts = FACTS.get(minor(release))
    found: dict[Ref, str] = {}
    for each in snapshot.of("CustomResourceDefinition"):
        plural = str(dig(each, "spec", "names", "plural") or "")
        if facts is None or dig(each, "spec", "group") != GATEWAY_API or plural not in {*facts.least, *facts.most}:
            continue
        bundle = annotated(each).get(BUNDLE, "")
        least, most = facts.least.get(plural, ""), facts.most.get(plural, "")
        reads = f"{minor(release)} reads {_bounds(least, most)}"
        if not bundle:
            found[ref_of(each)] = f"it does not say its bundle, and {reads}"
        elif (least and _order(bundle) < _order(least)) or (most and _order(bundle) > _order(most)):
            found[ref_of(each)] = f"it is of bundle {bundle}, and {reads}: its objects would be ignored"
    return found


def _bounds(least: str, most: str) -> str:
    return " and ".join(
        part for part in (f"{least} or later" if least else "", f"at most {most}" if most else "") if part
    )


def _order(bundle: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", bundle.partition("-")[0])[:3])
