"""A Prometheus as a source for comparisons: grouped queries, the family it holds, and every way of not knowing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from twoarms import (
    BEGAN,
    CLUSTER,
    DELAY_S,
    END,
    ENDPOINTS,
    NEW,
    OLD,
    RULES,
    STANDARD,
    Now,
    Without,
    World,
    arms,
    began,
    eyes,
    healthy,
    played,
    pod,
    service,
    wanted,
)

from meshup.cluster.errors import ServerTimeout
from meshup.gates.canary.judge import judge
from meshup.gates.canary.port import Wanted
from meshup.gates.evidence.scraped import Scraped
from meshup.meshes.asks import Ask, Family
from meshup.meshes.istio.driver import IstioSidecar
from meshup.model.canary import USUAL, Comparing
from meshup.model.samples import OWN
from meshup.model.transport import Response
from meshup.model.verdict import Answer

TERMS = Comparing(cluster=CLUSTER, control=OLD, canary=NEW, services=1, wave=("till/pay",), asked=USUAL)
ROUND = 20
"""Queries of one look at most, whatever is held; two more when a source looks for the first time."""


def looked(seeing=None, *, services=("pay",), callers=("till/front",), **more):
    seeing = seeing or eyes(**more)
    return Scraped(seeing, control=OLD, canary=NEW).look(wanted(*services, callers=callers), began=began(), before=None)


def figures(look, metric, view):
    """Both arms of one sample, and its origin."""
    (found,) = [each for each in look.pairs[0].samples if (each.metric, each.view) == (metric, view)]
    return found.control, found.canary, look.origins[found.origin]


def test_both_arms_are_counted_over_the_same_window_pods_that_are_gone_among_them():
    control, canary, origin = figures(looked(source=Without(RULES)), "errors", OWN)
    # 20 scrapes of 20 and 21 requests, and 8 scrapes of 24 of the pod that ended after 120 s
    assert (control.n, control.bad, control.resets) == (20 * 20 + 20 * 21 + 8 * 24, 0, 0)
    # 20 scrapes of 22, and the 17 after the first of the pod that began later, of 23; one in each fails
    assert (canary.n, canary.bad, canary.resets) == (20 * 22 + 17 * 23, 37, 0)
    assert (origin.series, origin.unlabelled, origin.error, origin.scrape_s) == ((1, 1), 0, "", 15.0)


def test_callers_are_split_by_what_the_mesh_calls_the_revision():
    control, canary, origin = figures(looked(source=Without(RULES)), "errors", "till/front")
    assert (control.n, control.bad) == (2 * 20 * 21, 0)
    assert (canary.n, canary.bad) == (2 * 20 * 22, 40)
    assert origin.source == "Prometheus monitoring/prometheus:9090 (the mesh's standard metrics)"


def test_where_both_arms_have_one_name_callers_are_split_by_the_address_that_was_called():
    look = looked(pods=arms(words=False))
    control, canary, origin = figures(look, "errors", "till/front")
    assert (control.n, control.bad) == (2 * (20 * 10 + 20 * 10 + 8 * 12), 0)
    assert (canary.n, canary.bad) == (2 * (20 * 11 + 17 * 11), 36)
    assert origin.source.endswith("(Envoy's own metrics by endpoint)")


HELD = {
    "recording rules": ((), "recording rules of the mesh's standard metrics", "the mesh's standard metrics"),
    "standard": ((RULES,), "the mesh's standard metrics", "the mesh's standard metrics"),
    "Envoy's own": ((RULES, STANDARD), "Envoy's own metrics by endpoint", "Envoy's own metrics"),
}


@pytest.mark.parametrize("held", sorted(HELD))
def test_the_family_that_the_server_holds_is_asked_and_named(held):
    left_out, callers, own = HELD[held]
    look = looked(source=Without(*left_out) if left_out else Without("no such"))
    assert figures(look, "errors", "till/front")[2].source.endswith(f"({callers})")
    assert figures(look, "errors", OWN)[2].source.endswith(f"({own})")
    assert figures(look, "cpu", OWN)[2].source.endswith("(the kubelet's metrics of containers)")


def test_rules_and_the_counters_they_are_made_of_say_the_same():
    by_rule, by_counter = looked(source=Without("none")), looked(source=Without(RULES))
    for metric in ("errors", "latency"):
        rule, counter = (figures(each, metric, "till/front") for each in (by_rule, by_counter))
        assert rule[:2] == counter[:2]


def test_memory_of_a_proxy_comes_from_itself_where_no_kubelet_tells():
    control, canary, origin = figures(looked(source=Without("container_")), "memory", OWN)
    assert min(canary.values) > max(control.values) > 1e7
    assert origin.source.endswith("(Envoy's own metrics)")
    assert figures(looked(source=Without("container_")), "cpu", OWN)[:2] == (None, None)


def test_gauge_points_are_those_since_the_look_before():
    seeing = eyes()
    looks, _ = played(Scraped(seeing, control=OLD, canary=NEW), seeing, looks=1, first=END - 60)
    again, _ = played(Scraped(seeing, control=OLD, canary=NEW), seeing, looks=2, first=END - 60)
    many, few = (figures(each, "memory", OWN)[1].values for each in again)
    assert (len(few), len(many)) == (2 * 4, len(figures(looks[0], "memory", OWN)[1].values))


def test_a_thousand_services_take_as_many_queries_as_one():
    many = tuple(service(f"svc-{number}") for number in range(1000))
    pods = [
        pod(f"{each.name}-{word}-{copy}", each.name, f"10.{number // 200}.{number % 200}.{at}", revision=revision)
        for number, each in enumerate(many)
        for at, (word, revision, copy) in enumerate(
            (("old", OLD, 1), ("old", OLD, 2), ("new", NEW, 1), ("new", NEW, 2))
        )
    ]
    counts = []
    for seeing, names in ((eyes(), ["pay"]), (eyes(pods, every=many), [each.name for each in many])):
        look = looked(seeing, services=names)
        assert len(look.pairs) == len(names)
        counts.append(len(seeing.cluster.asked))
    assert counts[0] - 2 <= ROUND
    assert counts[1] - 2 <= ROUND
    assert len({path for path, _ in seeing.cluster.asked} - {"/api/v1/query", "/api/v1/query_range"}) == 0


class Twenty(IstioSidecar):
    """A driver of twenty counts."""

    def comparison(self):
        asks = tuple(
            Ask(
                metric=f"metric-{number}",
                view="own",
                part="total",
                split="pod",
                query=f"sum by (${{home}}, ${{pod}}) (envoy_cluster_upstream_cx_total * {number + 1})",
                names=(),
            )
            for number in range(20)
        )
        return (Family(name="twenty", asks=asks, needs=("envoy_cluster_upstream_cx_total",)),)


def test_twenty_metrics_of_a_thousand_services_are_twenty_queries():
    many = (service("pay"), service("front"), *(service(f"svc-{number}") for number in range(998)))
    seeing = eyes(every=many, driver=Twenty())
    look = looked(seeing, services=[each.name for each in many])
    about_scraping = 2 + 3
    assert len(seeing.cluster.asked) == 20 + about_scraping
    control, canary, _ = figures(look, "metric-19", OWN)
    assert (control.n, canary.n) == (20 * 2 * (39 + 39 + 27), 20 * 2 * (39 + 17))


def test_a_source_that_begins_anew_goes_on_where_the_look_before_ended():
    first = eyes()
    looks, _ = played(Scraped(first, control=OLD, canary=NEW), first, looks=2, first=END - 120)
    second = eyes(now=Now(END + DELAY_S))
    later = Scraped(second, control=OLD, canary=NEW).look(wanted(), began=began(), before=looks[-1])
    assert later.elapsed_s > looks[-1].elapsed_s
    before, after = (figures(each, "errors", OWN)[1] for each in (looks[-1], later))
    assert after.n > before.n


def test_a_pod_that_is_deleted_meanwhile_is_remembered_and_can_be_handed_on():
    seeing = eyes()
    source = Scraped(seeing, control=OLD, canary=NEW)
    source.look(wanted(), began=began(), before=None)
    seeing.cluster.pods = [each for each in seeing.cluster.pods if each["metadata"]["name"] != "pay-gone-1"]
    kept = source.look(wanted(), began=began(), before=None)
    assert figures(kept, "errors", OWN)[2].unlabelled == 0
    handed = Scraped(seeing, control=OLD, canary=NEW, known=source.roll.members)
    assert figures(handed.look(wanted(), began=began(), before=None), "errors", OWN)[0].n == 1012
    forgotten = Scraped(seeing, control=OLD, canary=NEW).look(wanted(), began=began(), before=None)
    assert figures(forgotten, "errors", OWN)[2].unlabelled > 0


def test_rows_of_another_revision_are_of_no_arm_and_counted():
    third = [*arms(words=False, gone=False), pod("pay-gone-1", "pay", "10.2.0.5", revision="1-29")]
    look = looked(pods=third)
    assert figures(look, "errors", OWN)[2].unlabelled == 1
    assert figures(look, "errors", "till/front")[2].unlabelled == 2, (
        "one of each of two callers; its errors did not grow"
    )


def test_an_address_that_was_in_both_arms_is_given_to_neither():
    reused = [*arms(words=False, gone=False), pod("pay-old-9", "pay", "10.2.0.3", revision=OLD, phase="Succeeded")]
    control, canary, origin = figures(looked(pods=reused), "errors", "till/front")
    assert (control.n, canary.n) == (2 * (20 * 10 + 20 * 10), 2 * 17 * 11)
    assert origin.unlabelled > 0


def test_an_address_of_another_service_before_is_no_doubt():
    reused = [*arms(words=False), pod("front-0", "front", "10.2.0.3", revision=OLD, phase="Succeeded")]
    assert figures(looked(pods=reused), "errors", "till/front")[1].n == 2 * (20 * 11 + 17 * 11)


def test_restarts_of_proxies_are_those_since_the_beginning():
    pods = arms(gone=False)
    seeing = eyes(pods)
    source = Scraped(seeing, control=OLD, canary=NEW)
    pods[0]["status"]["containerStatuses"][0]["restartCount"] = 4
    source.look(wanted(), began=began(), before=None)
    pods[0]["status"]["containerStatuses"][0]["restartCount"] = 5
    pods[3]["status"]["containerStatuses"][0]["restartCount"] = 2
    control, canary, _ = figures(source.look(wanted(), began=began(), before=None), "restarts", OWN)
    assert (control.bad, canary.bad) == (1, 2)
    assert control.n == pytest.approx(2 * (END + DELAY_S - BEGAN))


# What a source is responsible for in "unknown by rule": a source spoilt in this way, and the judgement made of its looks.


def changed(**parts):
    def spoil(reply):
        return replace(reply, body=json.dumps({**json.loads(reply.body), **parts}).encode())

    return spoil


def values(word, *, pod_name="pay-new-1"):
    def spoil(reply):
        body = json.loads(reply.body)
        for each in body["data"]["result"]:
            if each["metric"].get("pod") == pod_name or "10.2.0.3" in each["metric"].get("envoy_endpoint_address", ""):
                for sample in each.get("values") or [each["value"]]:
                    sample[1] = word
        return replace(reply, body=json.dumps(body).encode())

    return spoil


def rows(change):
    def spoil(reply):
        body = json.loads(reply.body)
        body["data"]["result"] = change(body["data"]["result"])
        return replace(reply, body=json.dumps(body).encode())

    return spoil


def refused(status, text):
    return lambda _: Response(status=status, headers={}, body=text.encode())


def away(_):
    raise ServerTimeout("the API server has not answered within 10 s", code="MU8101", fix="try again")


def unlabelled(found):
    return [{**each, "metric": {k: v for k, v in each["metric"].items() if k != "pod"}} for each in found]


RQ, ENDPOINT = "upstream_rq{", "endpoint_rq_total"
ERROR = refused(422, '{"status":"error","error":"too many samples"}')
SPOILT = {
    "NaN": {"spoil": values("NaN"), "word": RQ},
    "infinity": {"spoil": values("+Inf"), "word": RQ},
    "negative": {"spoil": values("-5"), "word": RQ},
    "words": {"spoil": values("many"), "word": RQ},
    "null": {"spoil": values(None), "word": RQ},
    "NaN at a caller": {"spoil": values("NaN"), "word": ENDPOINT},
    "NaN of memory": {"spoil": values("NaN"), "word": "memory_working_set"},
    "query error": {"spoil": ERROR, "word": RQ},
    "query error of the callers' view": {"spoil": ERROR, "word": ENDPOINT},
    "query error about scraping": {"spoil": ERROR, "word": "timestamp("},
    "query error about resets": {"spoil": ERROR, "word": "resets("},
    "HTML": {"spoil": refused(200, "<html>"), "word": RQ},
    "503": {"spoil": refused(503, "overloaded"), "word": RQ},
    "timeout": {"spoil": away, "word": RQ},
    "warnings": {"spoil": changed(warnings=["a store is gone"]), "word": RQ},
    "warnings about scraping": {"spoil": changed(warnings=["a store is gone"]), "word": "timestamp("},
    "matrix": {"spoil": changed(data={"resultType": "matrix", "result": []}), "word": RQ},
    "no data": {"spoil": changed(data=None), "word": RQ},
    "empty": {"spoil": rows(lambda _: []), "word": RQ},
    "no series of the canary": {
        "spoil": rows(lambda found: [each for each in found if "new" not in each["metric"].get("pod", "")]),
        "word": RQ,
    },
    "one series twice": {"spoil": rows(lambda found: [*found, found[0]]), "word": RQ},
    "partial labels": {"spoil": rows(unlabelled), "word": RQ},
    "a row without labels": {"spoil": rows(lambda _: [1]), "word": RQ},
    "a canary pod is not scraped": {
        "spoil": rows(lambda found: [each for each in found if each["metric"].get("pod") != "pay-new-1"]),
        "word": "timestamp(",
    },
    "newest sample is old": {"spoil": values(str(END - 400)), "word": "timestamp("},
    "no sample has a time": {"spoil": values("NaN"), "word": "timestamp("},
    "scrapes can't be counted": {"spoil": rows(lambda _: []), "word": "count_over_time"},
    "no clock of the server": {
        "spoil": rows(lambda found: [each for each in found if each["metric"]]),
        "word": "timestamp(",
    },
}


def answered(seeing, *, looks=14, terms=TERMS):
    _, readings = played(Scraped(seeing, control=OLD, canary=NEW), seeing, looks=looks)
    return judge(readings, terms)


def world(**cluster):
    """Nothing is wrong, and every look is answered: what is spoilt is the only reason not to pass."""
    return eyes(arms(words=False, gone=False), source=healthy(), **cluster)


def test_evidence_that_is_whole_passes():
    verdict = answered(world())
    assert verdict.answer is Answer.PASS, verdict.because


def test_a_canary_that_fails_is_found_from_the_series_alone():
    verdict = answered(eyes(arms(words=False, gone=False), source=healthy(failed=0.02)), looks=4)
    assert verdict.answer is Answer.FAIL
    assert "caller till/front" in verdict.because


@pytest.mark.parametrize("how", sorted(SPOILT))
def test_evidence_that_is_none_is_unknown(how):
    assert answered(world(**SPOILT[how])).answer is Answer.UNKNOWN


def test_no_series_an_error_and_a_partial_answer_are_told_apart():
    error, partial, none = (
        figures(looked(world(**SPOILT[each])), "errors", OWN)[2] for each in ("query error", "warnings", "empty")
    )
    assert (error.error, error.warnings) == ("query error 422: too many samples", ())
    assert (partial.error, partial.warnings) == ("", ("a store is gone",))
    assert (none.error, none.warnings, none.series) == ("", (), (0, 0))


def without(**labels):
    return lambda found: any(found.get(key) != value for key, value in labels.items())


def bare(name="pay-new-1"):
    return pod(name, "pay", "10.2.0.3")


UNSOUND = {
    "wrong cluster": lambda: (world(), replace(TERMS, cluster="another")),
    "wrong revision": lambda: (world(), replace(TERMS, canary="1-32")),
    "baseline missing": lambda: (eyes([each for each in arms(words=False, gone=False) if "old" not in each["metadata"]["name"]], source=healthy()), TERMS),
    "canary without a proxy": lambda: (eyes([bare(), *[each for each in arms(words=False, gone=False) if "pay-new" not in each["metadata"]["name"]]], source=healthy()), TERMS),
    "clock is behind": lambda: (replace(world(), clock=Late(-100)), TERMS),
    "clock is ahead": lambda: (replace(world(), clock=Late(100)), TERMS),
    "a pod nobody saw serves": lambda: (eyes([each for each in arms(words=False, gone=False) if each["metadata"]["name"] != "pay-new-2"], source=healthy()), TERMS),
    "callers can't be split": lambda: (eyes(arms(words=False, gone=False), source=Without(ENDPOINTS, source=healthy())), TERMS),
    "zero traffic": lambda: (eyes(arms(words=False, gone=False), source=silent()), TERMS),
    "too few requests": lambda: (eyes(arms(words=False, gone=False), source=silent(rps=0.02)), TERMS),
    "counters began anew": lambda: (eyes(arms(words=False, gone=False), source=anew("envoy_cluster_upstream_")), TERMS),
    "a caller's counters began anew": lambda: (eyes(arms(words=False, gone=False), source=anew("envoy_cluster_endpoint_")), TERMS),
    "not scraped at the beginning": lambda: (eyes(arms(words=False, gone=False), source=healthy_since(BEGAN + 30)), TERMS),
    "scraping of a pod ended": lambda: (eyes(arms(words=False, gone=False), source=ended("pay-new-1")), TERMS),
}  # fmt: skip


class Late(Now):
    """A clock that is wrong by some seconds."""

    def __init__(self, off):
        super().__init__()
        self.off = off

    def now(self):
        return super().now() + timedelta(seconds=self.off)


def silent(rps=0.0):
    found = World()
    for each in arms(words=False, gone=False):
        name, address = each["metadata"]["name"], each["status"]["podIP"]
        found.proxy(name, rps=rps, born=BEGAN - 100)
        if name.startswith("pay"):
            found.calls("front-1", address, rps=rps)
    return found


def anew(begin):
    """Counters of one metric's family fall to zero once, in all arms."""
    found = healthy()
    for key, samples in found.rows.items():
        if key[0][1].startswith(begin):
            middle = next((value for at, value in samples if at >= BEGAN + 150), 0)
            found.rows[key] = [(at, value if at < BEGAN + 150 else value - middle) for at, value in samples]
    return found


def healthy_since(start):
    found = healthy()
    found.rows = {key: [each for each in samples if each[0] >= start] for key, samples in found.rows.items()}
    return found


def ended(name):
    found = healthy()
    found.rows = {
        key: [each for each in samples if ("pod", name) not in key or each[0] < END - 30]
        for key, samples in found.rows.items()
    }
    return found


@pytest.mark.parametrize("how", sorted(UNSOUND))
def test_evidence_of_something_else_is_unknown(how):
    seeing, terms = UNSOUND[how]()
    assert answered(seeing, terms=terms).answer is Answer.UNKNOWN


def test_a_window_of_less_than_four_scrapes_is_unknown():
    seeing = world()
    _, readings = played(Scraped(seeing, control=OLD, canary=NEW), seeing, looks=4, first=BEGAN + 10, every=10)
    assert judge(readings, TERMS).answer is Answer.UNKNOWN


def test_a_service_that_only_calls_is_told_by_what_it_sends():
    seeing = eyes(every=(service("pay"), service("front", client_only=True)), source=Without(RULES))
    seeing = replace(seeing, services=seeing.book.services[1:])
    look = looked(seeing, services=("front",), callers=())
    control, canary, _ = figures(look, "errors", OWN)
    assert control.n > 1000
    assert canary is None


def test_a_look_names_the_pods_of_both_arms_that_serve_now():
    (pair,) = looked().pairs
    assert [each.name for each in pair.control] == ["till/pay-old-1", "till/pay-old-2"]
    assert {(each.name, each.revision, each.age_s) for each in pair.canary} == {
        ("till/pay-new-1", NEW, END + DELAY_S - BEGAN + 100),
        ("till/pay-new-2", NEW, END + DELAY_S - BEGAN - 20),
    }


def test_a_service_that_nobody_was_asked_about_is_not_in_the_look():
    look = Scraped(eyes(), control=OLD, canary=NEW).look(
        [Wanted(service="till/nobody", control=(), canary=())], began=began(), before=None
    )
    assert [(each.service, each.control, each.canary) for each in look.pairs] == [("till/nobody", (), ())]
