"""The proxies' own pages as a source for comparisons: the counts of a Prometheus, of few pods, within bounds that are said."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from twoarms import (
    BEGAN,
    CALLED,
    CLUSTER,
    END,
    NEW,
    OLD,
    Cluster,
    Now,
    arms,
    began,
    eyes,
    healthy,
    pod,
    service,
    wanted,
)

from meshup.gates.canary.judge import judge
from meshup.gates.evidence import pages
from meshup.gates.evidence.arms import Index, Member
from meshup.gates.evidence.asking import UNTOLD
from meshup.gates.evidence.paged import Paged
from meshup.gates.evidence.sampling import sample
from meshup.gates.evidence.scraped import Scraped
from meshup.gates.finding import MOST_SCRAPED
from meshup.model.canary import USUAL, Comparing
from meshup.model.runbook import Metrics
from meshup.model.sampled import written
from meshup.model.samples import OWN, Points
from meshup.model.transport import Response
from meshup.model.verdict import Answer, Reading

PODS = arms(words=False, gone=False)
GAUGES = ("cpu", "memory")
COUNTED = tuple(each for each in USUAL if each.metric not in GAUGES)
TERMS = Comparing(cluster=CLUSTER, control=OLD, canary=NEW, services=1, wave=("till/pay",), asked=COUNTED)


class Shown(Cluster):
    """Pods whose pages show what a world's series say at the moment. broken: pod -> what it answers instead."""

    def __init__(self, pods, world, *, broken=None):
        super().__init__(pods, source=world)
        self.broken = broken or {}

    def pod_proxy(self, namespace, name, *, port, path, query=()):
        assert (port, path) == (15090, "/stats/prometheus")
        self.asked.append(("pod", f"{namespace}/{name}"))
        found = self.broken.get(name)
        return found or Response(status=200, headers={}, body=self.page(name).encode())

    def page(self, name):
        lines = ["envoy_cluster_manager_cds_update_rejected{} 0"]
        for key, rows in self.source.rows.items():
            labels = dict(key)
            if labels.pop("pod", "") != name or labels.pop("namespace", "") != "till" or "container" in labels:
                continue
            newest = [value for at, value in rows if at <= self.now]
            if newest:
                inside = ",".join(f'{label}="{text}"' for label, text in labels.items() if label != "__name__")
                lines.append(f"{labels['__name__']}{{{inside}}} {newest[-1]:.0f}")
        return "\n".join(lines) + "\n"


def looking(world=None, *, pods=None, broken=None):
    """What a source looks through, without a Prometheus."""
    seeing = eyes(pods or PODS, metrics=Metrics(), now=Now(BEGAN))
    seeing.cluster.__class__ = Shown
    seeing.cluster.source, seeing.cluster.broken, seeing.cluster.now = world or healthy(), broken or {}, BEGAN
    return seeing


def taken(seeing, *, until=END, every=60.0, callers=("till/front",), spoil=None):
    """Take looks from the beginning on; give them. spoil: alters the cluster before a look, by its number."""
    source = Paged(seeing, control=OLD, canary=NEW, every_s=every)
    looks = []
    for number in range(int((until - BEGAN) // every) + 1):
        seeing.cluster.now = seeing.clock.at = BEGAN + number * every
        if spoil is not None:
            spoil(number, seeing.cluster)
        looks.append(source.look(wanted(callers=callers), began=began(), before=looks[-1] if looks else None))
    return looks


def told(look):
    """(metric, view) -> (control, canary, origin) of a look."""
    return {
        (each.metric, each.view): (each.control, each.canary, look.origins[each.origin])
        for each in look.pairs[0].samples
    }


def verdict(looks, terms=TERMS):
    return judge([Reading(at=each.at, elapsed_s=each.elapsed_s, data=written(each)) for each in looks], terms)


def by_prometheus(world):
    seeing = eyes(PODS, source=world)
    return Scraped(seeing, control=OLD, canary=NEW).look(wanted(), began=began(), before=None)


@pytest.mark.parametrize("failed", [0.0, 0.03])
def test_pages_give_the_very_counts_that_a_prometheus_gives_of_the_same_proxies(failed):
    world = healthy(failed=failed)
    scraped, paged = told(by_prometheus(world)), told(taken(looking(world))[-1])
    same = {key for key in scraped if key[0] not in GAUGES}
    assert {key for key in paged if key[0] not in GAUGES} == same
    assert ("errors", "till/front") in same
    for key in same - {("restarts", OWN)}:
        assert paged[key][:2] == scraped[key][:2], key
        assert paged[key][2].series == scraped[key][2].series == (1, 1), key


@pytest.mark.parametrize(("failed", "answer"), [(0.0, Answer.PASS), (0.05, Answer.FAIL)])
def test_the_verdict_follows_from_the_pages_alone(failed, answer):
    found = verdict(taken(looking(healthy(failed=failed)), until=END + 900))
    assert found.answer is answer, found.because


def test_no_page_is_asked_for_twice_in_a_look_and_the_origin_says_of_how_many():
    seeing = looking()
    looks = taken(seeing)
    asked = [name for kind, name in seeing.cluster.asked if kind == "pod"]
    assert len(asked) == len(looks) * len(PODS)
    _, _, origin = told(looks[-1])["errors", OWN]
    assert origin.source == "the proxies' own pages (Envoy's own metrics)"
    assert origin.query == f"/stats/prometheus of {len(PODS)} pods of {len(PODS)}, port 15090"


def test_a_gauge_has_one_point_a_pod_and_look_and_no_page_tells_the_processor():
    world = healthy()
    for name in CALLED:
        world.put("envoy_server_memory_allocated", {"namespace": "till", "pod": name}, lambda _: 6e7)
    found = told(taken(looking(world))[-1])
    assert found["memory", OWN][0] == Points(values=(6e7, 6e7))
    assert found["cpu", OWN][:2] == (None, None)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Response(status=503, headers={}, body=b""), "it answered 503"),
        (Response(status=200, headers={}, body=b""), "no samples"),
        (Response(status=200, headers={}, body=b"x" * (pages.MOST_PAGE_BYTES + 1)), "at most 4194304 are read"),
    ],
)
def test_a_pod_of_the_service_that_can_not_be_read_leaves_it_unknown(answer, why):
    looks = taken(looking(broken={"pay-new-1": answer}), until=END + 900)
    _, _, origin = told(looks[-1])["errors", OWN]
    assert why in origin.error
    assert "till/pay-new-1" in origin.error
    assert verdict(looks).answer is Answer.UNKNOWN


def test_a_caller_that_can_not_be_read_does_not_pass_for_no_caller():
    gone = Response(status=503, headers={}, body=b"")
    looks = taken(looking(broken={"front-1": gone, "front-2": gone}), until=END + 900)
    _, _, origin = told(looks[-1])["errors", UNTOLD]
    assert "till/front-1: it answered 503" in origin.error
    assert verdict(looks).answer is Answer.UNKNOWN


def test_callers_that_keep_no_counts_by_endpoint_leave_it_unknown_unless_nobody_needs_them():
    world = healthy()
    world.rows = {key: rows for key, rows in world.rows.items() if "endpoint" not in dict(key)["__name__"]}
    assert verdict(taken(looking(world), until=END + 900)).answer is Answer.UNKNOWN
    assert verdict(taken(looking(world), until=END + 900, callers=())).answer is Answer.PASS


def test_a_service_that_nobody_calls_is_judged_by_its_own_view_where_callers_count_by_endpoint():
    world = healthy()
    for key in [key for key in world.rows if "endpoint" in dict(key)["__name__"]]:
        labels = {**dict(key), "envoy_cluster_name": "outbound|80||other.till.svc.cluster.local"}
        name = labels.pop("__name__")
        world.rows[(("__name__", name), *sorted(labels.items()))] = world.rows.pop(key)
    looks = taken(looking(world), until=END + 900)
    assert ("errors", UNTOLD) not in told(looks[-1])
    assert verdict(looks).answer is Answer.PASS


def test_pages_that_stopped_coming_are_stale():
    def spoil(number, cluster):
        if number > 8:
            cluster.broken = {"pay-new-1": Response(status=503, headers={}, body=b"")}

    looks = taken(looking(), until=END + 900, spoil=spoil)
    found = verdict(looks)
    assert found.answer is Answer.UNKNOWN
    assert "the newest sample is" in found.because


def test_a_counter_that_fell_is_a_reset_and_makes_it_unknown():
    world = healthy()
    for key, rows in world.rows.items():
        labels = dict(key)
        if labels.get("pod") == "pay-new-1" and labels["__name__"] == "envoy_cluster_upstream_rq":
            world.rows[key] = [(at, value if at < BEGAN + 200 else max(0.0, value - 4000)) for at, value in rows]
    _, canary, _ = told(taken(looking(world))[-1])["errors", OWN]
    assert canary.resets == 1


def test_pages_of_one_look_have_a_bound_together():
    seeing = looking()
    full = b"envoy_cluster_upstream_rq_active{} 1\n" + b"#" * (pages.MOST_PAGE_BYTES - 100)
    members = [member(f"till/{each['metadata']['name']}") for each in PODS]
    seeing.cluster.broken = {each["metadata"]["name"]: Response(status=200, headers={}, body=full) for each in PODS}
    found = pages.read(seeing, members * 4, {"envoy_cluster_upstream_rq_active": re.compile("")})
    assert sum(not each.why for each in found) == pages.MOST_LOOK_BYTES // len(full)
    assert "more than 64 MiB together" in found[-1].why


def member(name, service="till/front", arm="", last=1.0, **more):
    kind = {"uid": name, "revision": OLD, "word": "", "address": "", "began": 0.0, "restarts": 0, "restarts_before": 0}
    return Member(pod=name, service=service, arm=arm, last=last, serves=True, **{**kind, **more})


GROUPS = st.dictionaries(
    st.tuples(st.sampled_from([f"n/s{number}" for number in range(30)]), st.sampled_from(["control", "canary"])),
    st.integers(0, 40),
    max_size=40,
)


@given(groups=GROUPS, compared=st.sets(st.sampled_from([f"n/s{number}" for number in range(30)])))
def test_a_sample_is_bounded_of_everybody_and_the_same_again(groups, compared):
    every = [
        member(f"{name}-{arm}-{number}", service=name, arm=arm)
        for (name, arm), count in groups.items()
        for number in range(count)
    ]
    index = Index(every)
    found = sample(index, sorted(compared), kept=(), most=MOST_SCRAPED)
    chosen = {each.pod for each in found.members}
    assert len(chosen) == len(found.members) == min(MOST_SCRAPED, found.of)
    assert found.of == len(every)
    assert sample(index, sorted(compared), kept=chosen, most=MOST_SCRAPED) == found
    wide = {(name, arm if name in compared else "") for (name, arm), count in groups.items() if count}
    assert len(found.without) == max(0, len(wide) - MOST_SCRAPED)


def test_a_service_of_whom_no_page_can_be_read_for_want_of_room_is_unknown():
    names = [f"p{number}" for number in range(30)]
    several = tuple(service(each) for each in names)
    pods = [
        {**pod(f"{name}-{arm}", name, f"10.3.{number}.{arm}", revision=revision)}
        for number, name in enumerate(names)
        for arm, revision in ((1, OLD), (2, NEW))
    ]
    seeing = eyes(pods, every=several, services=names, metrics=Metrics(), now=Now(BEGAN))
    seeing.cluster.__class__ = Shown
    seeing.cluster.source, seeing.cluster.broken, seeing.cluster.now = healthy(), {}, BEGAN
    source = Paged(seeing, control=OLD, canary=NEW, every_s=30.0)
    look = source.look(wanted(*names), began=began(), before=None)
    assert source.told == "from the proxies' own pages, sampled 50 of 60"
    origins = {
        pair.service: {look.origins[each.origin].error for each in pair.samples if each.metric == "errors"}
        for pair in look.pairs
    }
    assert any("no page of control of till/p29 and canary of till/p29 is read" in each for each in origins["till/p29"])
