"""proxies-in-sync: no proxy rejected a configuration since the wave began, and none lost its control plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from meshup.gates.finding import name_of
from meshup.gates.gate import Eyes, Terms
from meshup.gates.judging import careful, told
from meshup.gates.sources import counters, meshed, source
from meshup.model.objects import dig
from meshup.model.verdict import Answer, Patience, Reading, Verdict


class ProxiesInSync:
    """A proxy that rejects keeps serving its last good configuration, so traffic does not show it; the counter does."""

    kind: ClassVar[str] = "proxies-in-sync"
    title: ClassVar[str] = "no proxy rejects its configuration"
    reads: ClassVar[str] = "Envoy's update_rejected counters and its link to the control plane, of every pod's proxy"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset({"proxy-counters"})
    patience: ClassVar[Patience] = Patience(limit_s=180, every_s=10, in_a_row=2)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give rejected updates and the link to the control plane, per pod."""
        del terms
        by_service = meshed(eyes, everywhere=not eyes.services)
        pods = [pod for several in by_service.values() for pod in several]
        counted = counters(eyes, pods)
        rows = {
            str(dig(pod, "metadata", "uid")): {
                "pod": name_of(pod),
                "rejected": counted[str(dig(pod, "metadata", "uid"))].rejected,
                "connected": counted[str(dig(pod, "metadata", "uid"))].connected,
            }
            for pod in pods
        }
        podless = all(each.workload.kind in ("CronJob", "Job") for each in eyes.services) and bool(eyes.services)
        return {"pods": rows, "podless": podless, "source": source(eyes.book, eyes.driver)}

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Compare the newest reading with the first one that could read."""
        del terms
        last = readings[-1].data if readings else {}
        rows = last.get("pods")
        if not isinstance(rows, Mapping) or not rows:
            if last.get("podless") is True:
                return Verdict(answer=Answer.PASS, because="periodic jobs only: no proxy runs between their runs")
            return Verdict(answer=Answer.UNKNOWN, because="no proxy was seen; nothing seen is not a pass")
        before: Mapping[str, Any] = next((each.data.get("pods") or {} for each in readings if not each.blind), {})
        for uid, row in rows.items():
            rejected = row.get("rejected") if isinstance(row, Mapping) else None
            if not isinstance(rejected, int) or isinstance(rejected, bool) or rejected < 0:
                return Verdict(answer=Answer.UNKNOWN, because="a proxy's counters are not complete")
            old = before.get(uid, {}).get("rejected", 0) if isinstance(before.get(uid), Mapping) else 0
            if rejected < old:
                return Verdict(
                    answer=Answer.UNKNOWN, because=f"counters of {row.get('pod')} went back: its proxy restarted"
                )
            if rejected > old:
                because = (
                    f"the proxy of {row.get('pod')} rejected {rejected - old} updates; it serves its last good ones"
                )
                return Verdict(answer=Answer.FAIL, because=because, object=f"Pod {row.get('pod')}")
            if row.get("connected") is None:
                because = f"the proxy of {row.get('pod')} does not say whether its control plane is there"
                return Verdict(answer=Answer.UNKNOWN, because=because, object=f"Pod {row.get('pod')}")
            if row.get("connected") is not True:
                return Verdict(
                    answer=Answer.UNKNOWN,
                    because=f"the proxy of {row.get('pod')} has lost its control plane",
                    object=f"Pod {row.get('pod')}",
                )
        return Verdict(answer=Answer.PASS, because=f"{len(rows)} proxies, 0 rejected updates{told(last)}")
