"""prometheus-query and http-probe: what the runbook itself asks, with every way of not knowing kept apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from meshup.gates.finding import number
from meshup.gates.gate import Blind, Eyes, Terms
from meshup.gates.judging import careful
from meshup.gates.prometheus import AHEAD_S, ask, partial
from meshup.model.objects import Ref, containers, dig
from meshup.model.text import clean
from meshup.model.verdict import Answer, Patience, Reading, Verdict


class PrometheusQuery:
    """One number against a bound. Several series, none, NaN, warnings and stale samples are unknown, each by name."""

    kind: ClassVar[str] = "prometheus-query"
    title: ClassVar[str] = "the query's value keeps its bound"
    reads: ClassVar[str] = "one instant query, through the API server's service proxy"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "query": (str, ..., "PromQL that gives one number"),
        "at-most": (float, None, "largest value that passes"),
        "at-least": (float, None, "smallest value that passes"),
        "stale-after": (float, 120.0, "a sample older than this many seconds is unknown"),
    }
    needs: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[Patience] = Patience(limit_s=600, every_s=30, in_a_row=3)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Run the query once."""
        return ask(eyes, str(terms.params["query"]))

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Decide from the newest reply."""
        data = readings[-1].data if readings else {}
        result, kind = data.get("result"), data.get("type")
        if data.get("warnings"):
            return Verdict(answer=Answer.UNKNOWN, because=partial(data["warnings"]))
        if kind == "scalar":
            sample = result
        elif not isinstance(result, list):
            return Verdict(
                answer=Answer.UNKNOWN, because=f"the query gives a {kind or 'nothing'}, one number is needed"
            )
        elif not result:
            return Verdict(answer=Answer.UNKNOWN, because="the query ran and found 0 series")
        elif len(result) > 1:
            return Verdict(answer=Answer.UNKNOWN, because=f"the query gives {len(result)} series, one is needed")
        else:
            sample = result[0].get("value") if isinstance(result[0], Mapping) else None
        if not isinstance(sample, list) or len(sample) != 2:
            return Verdict(answer=Answer.UNKNOWN, because="the reply has no sample")
        try:
            value = number(float(sample[1]))
        except (TypeError, ValueError):
            value = None
        if value is None:
            return Verdict(
                answer=Answer.UNKNOWN, because=f"the value is {clean(sample[1], limit=40)}, which is no number"
            )
        taken, at = number(sample[0]), number(data.get("at"))
        if taken is None or at is None or at - taken > float(terms.params.get("stale-after") or 120.0):
            return Verdict(answer=Answer.UNKNOWN, because="the newest sample is stale")
        if taken - at > AHEAD_S:
            because = f"the sample is {taken - at:.0f} s ahead of this clock: one of the two clocks is wrong"
            return Verdict(answer=Answer.UNKNOWN, because=because)
        most, least = terms.params.get("at-most"), terms.params.get("at-least")
        if any(each is not None and number(each) is None for each in (most, least)):
            return Verdict(answer=Answer.UNKNOWN, because="a bound is no number")
        if most is None and least is None:
            return Verdict(answer=Answer.UNKNOWN, because="no bound is given: at-most or at-least")
        if most is not None and value > most:
            return Verdict(answer=Answer.FAIL, because=f"{value:g} is above {most:g}")
        if least is not None and value < least:
            return Verdict(answer=Answer.FAIL, because=f"{value:g} is below {least:g}")
        bound = " and ".join(
            text for text, each in ((f"at most {most}", most), (f"at least {least}", least)) if each is not None
        )
        return Verdict(answer=Answer.PASS, because=f"{value:g}, {bound}")


class HttpProbe:
    """A service or pod asked through the API server: its status must be the one that is wanted."""

    kind: ClassVar[str] = "http-probe"
    title: ClassVar[str] = "the address answers as it should"
    reads: ClassVar[str] = "one GET through the API server's service proxy; in plaintext, so of nothing with a sidecar"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "url": (str, ..., "http://NAME.NAMESPACE:PORT/PATH of a Service in the cluster"),
        "status": (int, 200, "the status that is wanted"),
    }
    needs: ClassVar[frozenset[str]] = frozenset()
    patience: ClassVar[Patience] = Patience(limit_s=120, every_s=5, in_a_row=3)

    def observe(self, eyes: Eyes, terms: Terms) -> Mapping[str, Any]:
        """Ask once."""
        parts = urlsplit(str(terms.params["url"]))
        name, _, namespace = (parts.hostname or "").partition(".")
        namespace = namespace.partition(".")[0]
        if not name or not namespace:
            raise Blind(f"{terms.params['url']} is no address of a Service")
        if _has_sidecars(eyes, namespace, name):
            why = "the API server asks in plaintext, as one more client that keeps strict mode off"
            raise Blind(f"the pods of {namespace}/{name} have a sidecar: {why}; ask something outside the mesh")
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        path = parts.path or "/"
        answer = eyes.cluster.service_proxy(namespace, name, port=str(parts.port or 80), path=path, query=query)
        return {"status": answer.status}

    @careful
    def judge(self, readings: Sequence[Reading], terms: Terms) -> Verdict:
        """Compare the newest status."""
        status = readings[-1].data.get("status") if readings else None
        wanted = terms.params.get("status", 200)
        if not isinstance(status, int) or isinstance(status, bool):
            return Verdict(answer=Answer.UNKNOWN, because="no answer was read")
        if status == wanted:
            return Verdict(answer=Answer.PASS, because=f"answered {status}")
        if status in (502, 503, 504):
            return Verdict(answer=Answer.UNKNOWN, because=f"answered {status}: nobody behind it yet, wanted {wanted}")
        return Verdict(answer=Answer.FAIL, because=f"answered {status}, wanted {wanted}")


def _has_sidecars(eyes: Eyes, namespace: str, name: str) -> bool:
    """Tell whether a proxy stands before the pods of a Service; a gateway, which is nothing but proxy, may be asked."""
    service = eyes.cluster.find(Ref(api_version="v1", kind="Service", namespace=namespace, name=name))
    selector = dig(service, "spec", "selector") or {}
    if not selector:
        return False
    labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    for pod in eyes.cluster.list("v1", "Pod", namespace=namespace, labels=labels):
        proxy = eyes.driver.proxy(pod)
        if proxy is not None and any(each.get("name") != proxy.container for each in containers(pod.get("spec") or {})):
            return True
    return False
