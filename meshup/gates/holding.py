"""strict-holds and guard-armed: plaintext is refused to nobody real, mutual TLS flows, and the way back is armed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from meshup.gates.finding import name_of, ready
from meshup.gates.gate import Eyes, Terms
from meshup.gates.judging import careful, told
from meshup.gates.scrape import window
from meshup.gates.sources import counters, meshed, source
from meshup.model.objects import Ref, dig, labels
from meshup.model.verdict import Answer, Patience, Reading, Verdict

HOME = "meshup-system"
REVERTED = "meshup.dev/reverted"
"""Set by the guard on its Lease before it puts anything back."""


def _lease(place: str) -> Ref:
    """Name the Lease that the guard of a wave watches."""
    name = f"meshup-guard-{place.rpartition('/')[2]}"
    return Ref(api_version="coordination.k8s.io/v1", kind="Lease", namespace=HOME, name=name)


class StrictHolds:
    """The tripwire: refused plaintext rises when a real client is cut off; handshakes show that mesh traffic flows."""

    kind: ClassVar[str] = "strict-holds"
    title: ClassVar[str] = "no client is refused and mutual TLS flows"
    reads: ClassVar[str] = "no_filter_chain_match and handshake counters of the inbound listener, per proxy"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset({"proxy-counters"})
    patience: ClassVar[Patience] = Patience(limit_s=600, every_s=15, in_a_row=3, least=1, window_s=120)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give refused plaintext and handshakes per proxy."""
        del terms
        guard = eyes.cluster.find(_lease(eyes.place))
        by_service = meshed(eyes, everywhere=not eyes.services)
        pods = [pod for name, several in by_service.items() if name for pod in several]
        counted = counters(eyes, pods)
        return {
            "source": source(eyes.book, eyes.driver),
            "reverted": str(dig(guard, "metadata", "annotations", REVERTED) or ""),
            "proxies": {
                str(dig(pod, "metadata", "uid")): {
                    "pod": name_of(pod),
                    "refused": counted[str(dig(pod, "metadata", "uid"))].refused_plaintext,
                    "tls": counted[str(dig(pod, "metadata", "uid"))].inbound_tls,
                    "handshakes": counted[str(dig(pod, "metadata", "uid"))].handshakes,
                }
                for pod in pods
            },
        }

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Compare two readings: one refused connection fails, and so does a guard that acted; no handshake is unknown."""
        if readings and readings[-1].data.get("reverted"):
            because = f"the guard heard nothing and put permissive back at {readings[-1].data['reverted']}"
            return Verdict(answer=Answer.FAIL, because=because, object="Lease of the guard")
        pair = window(readings, 0.0)
        if isinstance(pair, str):
            return Verdict(answer=Answer.UNKNOWN, because=pair)
        first, last = pair[0].data.get("proxies"), pair[1].data.get("proxies")
        if not isinstance(last, Mapping) or not last or not isinstance(first, Mapping):
            return Verdict(answer=Answer.UNKNOWN, because="no proxy was seen; nothing seen is not a pass")
        shaken, known = 0, dict(first)
        for each in [one for one in readings if not one.blind][1:]:
            rows = each.data.get("proxies") or {}
            for uid, row in rows.items():
                made = _made(known.get(uid) or {}, row)
                if isinstance(made, Verdict):
                    return made
                shaken += made
            known.update(rows)
        least = max(1, terms.patience.least)
        if shaken < least:
            return Verdict(
                answer=Answer.UNKNOWN,
                because=f"{shaken} of {least} mutual TLS handshakes seen since strict mode",
                missing=least - shaken,
            )
        because = f"{len(last)} proxies, 0 refused, {shaken} mutual TLS handshakes{told(pair[1].data)}"
        return Verdict(answer=Answer.PASS, because=because)


def _made(before: Mapping[str, Any], row: Mapping[str, Any]) -> int | Verdict:
    """Count the handshakes that one proxy made between two readings; a verdict where it refused or can't be read."""
    values = [row.get("refused"), row.get("handshakes"), before.get("refused") or 0, before.get("handshakes") or 0]
    if not all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in values):
        return Verdict(answer=Answer.UNKNOWN, because=f"counters of {row.get('pod')} are not complete")
    refused, made = int(values[0] or 0) - int(values[2] or 0), int(values[1] or 0) - int(values[3] or 0)
    if refused < 0 or made < 0:
        because = f"counters of {row.get('pod')} went back: its proxy restarted"
        return Verdict(answer=Answer.UNKNOWN, because=because)
    if refused > 0:
        because = f"{row.get('pod')} refused {refused} plaintext connections since strict mode"
        return Verdict(answer=Answer.FAIL, because=because, object=f"Pod {row.get('pod')}")
    return made


class GuardArmed:
    """No flip without the guard: its pods must run before strict mode is switched."""

    kind: ClassVar[str] = "guard-armed"
    title: ClassVar[str] = "the guard runs in the cluster"
    reads: ClassVar[str] = "pods of the guard Job of this wave"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[Patience] = Patience(limit_s=60, every_s=2, in_a_row=1)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give the guard Job's pods and whether its Lease is there."""
        del terms
        name = f"meshup-guard-{eyes.place.rpartition('/')[2]}"
        lease = eyes.cluster.find(_lease(eyes.place))
        pods = [
            pod
            for pod in eyes.cluster.list("v1", "Pod", namespace=HOME, labels=f"app.kubernetes.io/name={name}")
            if labels(pod).get("app.kubernetes.io/name") == name and not dig(pod, "metadata", "deletionTimestamp")
        ]
        return {"name": name, "lease": lease is not None, "ready": sum(ready(pod) for pod in pods), "pods": len(pods)}

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """One running guard pod and its Lease are enough."""
        del terms
        data = readings[-1].data if readings else {}
        running, name = data.get("ready"), data.get("name")
        if not isinstance(running, int) or isinstance(running, bool) or data.get("lease") is not True:
            return Verdict(answer=Answer.UNKNOWN, because="the guard's Lease was not seen")
        if running < 1:
            return Verdict(
                answer=Answer.UNKNOWN, because=f"0 of {data.get('pods')} guard pods run", object=f"Job {HOME}/{name}"
            )
        return Verdict(answer=Answer.PASS, because=f"{running} guard pods run")
