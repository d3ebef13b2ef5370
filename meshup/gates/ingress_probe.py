"""ingress-probe: every host and path answers through the new gateway, asked from inside the cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from meshup.gates.gate import Blind, Eyes, Terms
from meshup.gates.judging import careful
from meshup.model.objects import dig
from meshup.model.text import clean
from meshup.model.verdict import Answer, Patience, Reading, Verdict

HOME, PROBE = "meshup-system", "meshup-probe"
ROUTED_BY_NOBODY = 404


class IngressProbe:
    """Reads the log of the probe Job: the API server's own proxy rewrites Host, so the asking is done in a pod."""

    kind: ClassVar[str] = "ingress-probe"
    title: ClassVar[str] = "every host and path answers through the gateway"
    reads: ClassVar[str] = "the log of the probe Job that the ingress-gateway step runs"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {}
    needs: ClassVar[frozenset[str]] = frozenset({"ingress-gateway"})
    patience: ClassVar[Patience] = Patience(limit_s=180, every_s=5, in_a_row=2)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Give the newest answer per host and path, and what was to be asked."""
        del terms
        leg = eyes.place.partition("/")[2]
        chosen = f"app.kubernetes.io/name in ({PROBE},{PROBE}-{leg})" if leg else f"app.kubernetes.io/name={PROBE}"
        pods = list(eyes.cluster.list("v1", "Pod", namespace=HOME, labels=chosen))
        if not pods:
            raise Blind(f"Job {HOME}/{PROBE} has no pod yet")
        answers: dict[str, dict[str, Any]] = {}
        for pod in pods:
            for line in eyes.cluster.logs(HOME, str(dig(pod, "metadata", "name"))).splitlines():
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if isinstance(found, dict) and "host" in found:
                    answers[f"{found['host']}{found.get('path', '/')}"] = found
        ingress = eyes.book.ingress
        wanted = {
            f"{host.host}{path.path}": path.expect for host in (ingress.hosts if ingress else ()) for path in host.paths
        }
        return {"wanted": wanted, "answers": answers}

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Every wanted host and path must have answered as expected; without an expectation any answer of a backend counts."""
        del terms
        data = readings[-1].data if readings else {}
        wanted, answers = data.get("wanted"), data.get("answers")
        if not isinstance(wanted, Mapping) or not wanted or not isinstance(answers, Mapping):
            return Verdict(answer=Answer.UNKNOWN, because="no host was asked for")
        missing: list[str] = []
        for name, expect in wanted.items():
            found = answers.get(name)
            if not isinstance(found, Mapping):
                missing.append(str(name))
                continue
            status = found.get("status")
            if not isinstance(status, int) or isinstance(status, bool):
                missing.append(str(name))
                continue
            if status == 0 or status in (502, 503, 504):
                return Verdict(
                    answer=Answer.UNKNOWN,
                    because=f"{name}: {clean(found.get('why') or f'answered {status}', limit=200)}",
                    names=(str(name),),
                )
            if (expect and status != expect) or (not expect and (status == ROUTED_BY_NOBODY or status >= 500)):
                return Verdict(
                    answer=Answer.UNKNOWN,
                    because=f"{name} answered {status}, wanted {expect or 'an answer of its service'}",
                    names=(str(name),),
                )
        if missing:
            return Verdict(
                answer=Answer.UNKNOWN,
                because=f"{len(missing)} of {len(wanted)} not asked yet: {missing[0]}",
                names=tuple(missing),
            )
        return Verdict(answer=Answer.PASS, because=f"{len(wanted)} of {len(wanted)} hosts and paths answer")
