"""plaintext-callers: over a window with enough connections, nobody called in plaintext; whoever did is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from meshup.gates.finding import Shelf, name_of, own_pods, ready, workloads
from meshup.gates.gate import Eyes, Terms
from meshup.gates.judging import careful, covered, told
from meshup.gates.scrape import window
from meshup.gates.sources import counters, source
from meshup.meshes.driver import ProxyCounters
from meshup.model.duration import Duration
from meshup.model.objects import Object, Ref, annotated, dig, labels
from meshup.model.text import amount, clean
from meshup.model.verdict import Answer, Patience, Reading, Verdict

MOST_TIMES = 100
OWNER_KEYS = ("meshup.dev/owner", "owner", "team")


class PlaintextCallers:
    """Counters decide; access-log addresses joined with pod addresses (finished pods too) give the names."""

    kind: ClassVar[str] = "plaintext-callers"
    title: ClassVar[str] = "no client of an enrolled service calls in plaintext"
    reads: ClassVar[str] = "connections and TLS connections per inbound port, access logs, pod addresses"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "window": (
            Duration,
            Duration(600.0),
            "how long nobody may call in plaintext; at least as long as the rarest caller waits",
        ),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"proxy-counters", "access-log-names"})
    patience: ClassVar[Patience] = Patience(limit_s=1800, every_s=30, in_a_row=1, least=20)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give counters per proxy, plaintext calls per address, and who has or had each address."""
        services = [
            each for each in (eyes.services or eyes.book.services) if each.opt_in is not None and not each.client_only
        ]
        found = workloads(eyes.cluster, services)
        pods = list(_every_pod(eyes))
        by_namespace: dict[str, Shelf] = {}
        for pod in pods:
            by_namespace.setdefault(str(dig(pod, "metadata", "namespace")), Shelf()).put(pod)
        meshed: dict[str, list[Object]] = {}
        for each in services:
            own = own_pods(found.get(each.id), by_namespace.get(each.namespace))
            meshed[each.id] = [pod for pod in own if eyes.driver.proxy(pod) is not None and ready(pod)]
        every = [pod for several in meshed.values() for pod in several]
        counted = counters(eyes, every)
        rows: dict[str, Any] = {}
        for service_id, several in meshed.items():
            for pod in several:
                uid = str(dig(pod, "metadata", "uid"))
                page = counted[uid]
                rows[uid] = {
                    "service": service_id,
                    "pod": name_of(pod),
                    "connections": page.inbound_connections,
                    "tls": page.inbound_tls,
                    "active_plaintext": page.active_plaintext,
                    "active_tls": page.active_tls,
                    "refused": page.refused_plaintext,
                    **({} if page.sampled is None else {"sampled": page.sampled}),
                }
        # Logs only tell names, so they are read where a counter says that somebody was plaintext.
        told = [pod for pod in every if _ever_plain(counted[str(dig(pod, "metadata", "uid"))])]
        plain = self._names(eyes, told, terms)
        return {
            "proxies": rows,
            "callers": plain,
            "addresses": _addresses(eyes, pods, plain),
            "without": sorted(name for name, several in meshed.items() if not several),
            "source": source(eyes.book, eyes.driver),
        }

    def _names(self, eyes: Eyes, pods: Sequence[Object], terms: Terms) -> dict[str, dict[str, Any]]:
        """Give address -> how often it called in plaintext in what was read of the logs, when last, and the newest times."""
        since = int(float(terms.params.get("window") or 600.0)) + 60

        def calls(pod: Object) -> list[tuple[str, str]]:
            proxy = eyes.driver.proxy(pod)
            namespace, name = str(dig(pod, "metadata", "namespace")), str(dig(pod, "metadata", "name"))
            log = eyes.cluster.logs(namespace, name, container=proxy.container if proxy else "", since_s=since)
            return [(call.address, call.at) for call in eyes.driver.read_calls(log) if call.tls is False]

        found: dict[str, dict[str, Any]] = {}
        for several in eyes.cluster.gather([lambda pod=pod: calls(pod) for pod in pods]):  # type: ignore[misc]
            for address, at in several:
                row = found.setdefault(address, {"count": 0, "last": at, "times": []})
                row["count"] += 1
                row["last"] = max(row["last"], at)
                row["times"].append(at)
        for row in found.values():
            row["times"] = sorted(row["times"])[-MOST_TIMES:]
        return found

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide over the window: a plaintext connection fails, too few connections or too short a window is unknown."""
        wanted_s = float(terms.params.get("window") or 600.0)
        if not readings or readings[-1].blind:
            return Verdict(answer=Answer.UNKNOWN, because="nothing was read")
        last = readings[-1]
        rows = last.data.get("proxies")
        if not isinstance(rows, Mapping) or not rows:
            return Verdict(
                answer=Answer.UNKNOWN, because="no proxy of an enrolled service was seen; nothing seen is not a pass"
            )
        try:
            active = sum(_count(row.get("active_plaintext") or 0) for row in rows.values())
            pair = window(readings, 0.0)
            if isinstance(pair, str):
                if active:
                    return self._found(readings, f"{active} plaintext connections are open")
                return Verdict(answer=Answer.UNKNOWN, because=pair)
            plain, total = _between([each for each in readings if not each.blind])
            # Clients keep their connections: those that were open when the window began were seen too.
            total += sum(_count(row.get("active_tls") or 0) for row in pair[0].data["proxies"].values())
        except (ValueError, TypeError, AttributeError) as error:
            return Verdict(answer=Answer.UNKNOWN, because=f"counters are not complete: {error}")
        seconds = covered(pair[0], last, "proxies")
        if active or plain:
            return self._found(readings, f"{plain} plaintext connections in {seconds:.0f} s, {active} open now")
        if last.data.get("without"):
            return Verdict(
                answer=Answer.UNKNOWN,
                because=f"no proxy of {', '.join(last.data['without'][:5])} was seen",
                names=tuple(last.data["without"]),
            )
        least = max(1, terms.patience.least)
        if seconds + 1e-6 < wanted_s:
            return Verdict(
                answer=Answer.UNKNOWN,
                because=f"0 plaintext of {total} connections in {seconds:.0f} s, the window is {wanted_s:.0f} s",
            )
        if total < least:
            return Verdict(
                answer=Answer.UNKNOWN,
                because=f"{total} of {least} connections in {seconds:.0f} s; too few to say that nobody is plaintext",
                missing=least - total,
            )
        return Verdict(
            answer=Answer.PASS, because=f"0 plaintext of {total} connections in {seconds:.0f} s{told(last.data)}"
        )

    def _found(self, readings: Sequence[Reading], text: str) -> Verdict:
        last = readings[-1]
        sampled = [row.get("sampled") for row in (readings[0].data.get("proxies") or {}).values()]
        began = min([readings[0].at.timestamp(), *(float(each) for each in sampled if each is not None)]) - 1
        callers = last.data.get("callers") or {}
        known = last.data.get("addresses") or {}
        by_name: Counter[str] = Counter()
        nameless: Counter[str] = Counter()
        for address, row in callers.items():
            calls = _calls(row, began)
            if calls and known.get(address):
                by_name[str(known[address])] += calls
            elif calls:
                nameless[f"unknown address {address}"] += calls
        # Whoever has a name can be gone to; an address without one is most often of a pod that is gone already.
        every = (*by_name.most_common(), *nameless.most_common())
        names = tuple(f"{name}: {amount(count, 'request')}" for name, count in every[:20])
        who = f"; called by {names[0]}" if names else "; the access logs do not say by whom"
        return Verdict(
            answer=Answer.FAIL, because=text + who, object=names[0].partition(" (")[0] if names else "", names=names
        )


def _ever_plain(page: ProxyCounters) -> bool:
    return page.inbound_connections != page.inbound_tls or bool(page.active_plaintext) or bool(page.refused_plaintext)


def _time(text: Any) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


def _calls(row: Mapping[str, Any], began: float) -> int:
    """Count an address's calls since a Unix time; all of them when more were since than there are times of."""
    times = row.get("times")
    since = sum(1 for each in times or () if _time(each) >= began)
    if times and since < len(times):
        return since
    return int(row.get("count") or 0) if _time(row.get("last")) >= began else 0


def _every_pod(eyes: Eyes) -> Sequence[Object]:
    return list(eyes.cluster.list("v1", "Pod"))


def _count(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or raw < 0:
        raise ValueError(f"{raw!r} is no count")
    return raw


def _between(readings: Sequence[Reading]) -> tuple[int, int]:
    """Sum up (plaintext, all) from reading to reading, so that what a proxy saw before it left still counts."""
    known = dict(readings[0].data.get("proxies") or {})
    plain = total = 0
    for each in readings[1:]:
        rows = each.data.get("proxies") or {}
        more_plain, more = _delta(known, rows)
        plain, total = plain + more_plain, total + more
        known.update(rows)
    return plain, total


def _delta(first: Mapping[str, Any], last: Mapping[str, Any]) -> tuple[int, int]:
    """Give (plaintext, all) new connections; a proxy that is new counts from zero."""
    plain = total = 0
    for uid, row in last.items():
        before = first.get(uid) or {}
        connections = _count(row.get("connections")) - _count(before.get("connections") or 0)
        tls = _count(row.get("tls")) - _count(before.get("tls") or 0)
        if connections < 0 or tls < 0:
            raise ValueError(f"counters of {row.get('pod')} went back: its proxy restarted")
        total += connections
        plain += max(0, connections - tls)
    return plain, total


def _addresses(eyes: Eyes, pods: Sequence[Object], wanted: Mapping[str, Any]) -> dict[str, str]:
    """Give address -> "Kind namespace/name (owner X)" for addresses that called; host addresses name their node."""
    found: dict[str, str] = {}
    if not wanted:
        return found
    for pod in pods:
        address = str(dig(pod, "status", "podIP") or "")
        if address in wanted and (address not in found or not dig(pod, "spec", "hostNetwork")):
            found[address] = described(eyes, pod)
    return found


def described(eyes: Eyes, pod: Object) -> str:
    """Name what a pod belongs to, following its controllers upwards, with the owner that the topmost one states."""
    namespace = str(dig(pod, "metadata", "namespace"))
    top: Object = pod
    kind, name = "Pod", str(dig(pod, "metadata", "name"))
    for _ in range(3):
        owner = next((each for each in dig(top, "metadata", "ownerReferences") or () if each.get("controller")), None)
        if owner is None:
            break
        kind, name = str(owner.get("kind")), str(owner.get("name"))

        found = eyes.cluster.find(
            Ref(api_version=str(owner.get("apiVersion")), kind=kind, namespace=namespace, name=name)
        )
        if found is None:
            if kind == "Job" and name.rpartition("-")[2].isdigit():
                kind, name = "CronJob", name.rpartition("-")[0]
            break
        top = found
    notes = {**labels(top), **annotated(top)}
    owner_name = next((notes[key] for key in OWNER_KEYS if notes.get(key)), "unknown")
    return clean(f"{kind} {namespace}/{name} (owner {owner_name})", limit=200)
