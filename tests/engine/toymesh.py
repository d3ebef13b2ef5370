"""A mesh of toy size: one driver, a few steps and gates, so that the engine is tested without any real mesh's facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from meshup.engine.guard import DISARMED
from meshup.meshes.driver import Enrolment, Policy, Proxy
from meshup.model.change import Apply, Delete, Handoff, Label
from meshup.model.objects import TEMPLATE_PATH, Ref, dig, labels, ref_of, template
from meshup.model.rollout import rollout
from meshup.model.runbook import (
    Budgets,
    GateSpec,
    Manifests,
    Mesh,
    Metrics,
    OptIn,
    Pacing,
    Runbook,
    Service,
    Stage,
    StepSpec,
    Wave,
)
from meshup.model.verdict import Answer, Patience, Verdict
from meshup.steps.step import Draft, Drafted

REV = "toy.example/rev"
HOME = "toy-system"
QUICK = Patience(limit_s=60.0, every_s=1.0, in_a_row=1)


class ToyDriver:
    name = "toy"
    capabilities = frozenset({"policies"})

    def installed(self, snapshot):
        found = {}
        for each in snapshot.of("ConfigMap", HOME):
            if labels(each).get("toy.example/plane"):
                found[labels(each)["toy.example/plane"]] = dig(each, "data", "release") or ""
        for each in snapshot.of("Deployment", HOME):
            if labels(each).get("toy.example/plane"):
                found[labels(each)["toy.example/plane"]] = labels(each).get("toy.example/release", "")
        return found

    def enrolment(self, workload, snapshot, revision):
        at = (*TEMPLATE_PATH[workload["kind"]], "metadata", "labels")
        now = dig(template(workload), "metadata", "labels", REV)
        if labels(workload).get("toy.example/frozen"):
            return Enrolment(blocked="frozen by its owner")
        return Enrolment(
            at=at, set={REV: revision}, before={REV: now}, right=now == revision, revision_before=now or ""
        )

    def proxy(self, pod):
        revision = labels(pod).get(REV)
        if not revision:
            return None
        return Proxy(release=revision.replace("-", "."), revision=revision, container="p", ready=True, native=False)

    def sidecar_requests(self, snapshot, mesh):
        return 100, 64

    def policies(self, services, snapshot, mesh, *, level, mode):
        return tuple(Policy(level=level, mode=mode, body=policy(each, mode), covers=(each.id,)) for each in services)

    def policy_conflicts(self, services, snapshot, *, level):
        return ()

    def is_strict(self, service, snapshot):
        there = snapshot.get(ref_of(policy(service, "strict")))
        return dig(there, "data", "mode") == "strict"


def policy(service, mode):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"policy-{service.name}", "namespace": service.namespace},
        "data": {"mode": mode},
    }


@dataclass(frozen=True)
class Lay:
    """Installs a namespace and a control plane made of a Deployment and a ConfigMap."""

    kind = "lay"
    title = "the toy plane is there"
    needs = frozenset()
    params: Mapping = field(default_factory=dict)

    def draft(self, scope):
        drafts = []
        for body in plane(scope.book.mesh):
            on = ref_of(body)
            drafts.append(Draft(change=Apply(on=on, body=body), step=self.kind, summary=f"make {on}"))
        return Drafted(drafts=tuple(drafts))


def plane(mesh):
    name = f"plane-{mesh.revision}"
    marks = {"toy.example/plane": mesh.revision, "toy.example/release": mesh.release}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": HOME, "labels": marks},
            "data": {"release": mesh.release},
        },
        deployment(HOME, name, marks=marks),
    ]


@dataclass(frozen=True)
class Enrol:
    """Labels the templates of a wave's services."""

    kind = "enrol"
    title = "services carry the label"
    needs = frozenset()
    params: Mapping = field(default_factory=dict)

    def draft(self, scope):
        drafts, right = [], []
        for service in scope.services:
            workload = scope.snapshot.get(service.workload)
            if workload is None:
                continue
            found = scope.driver.enrolment(workload, scope.snapshot, scope.book.mesh.revision)
            if found.right:
                right.append(service.id)
                continue
            drafts.append(
                Draft(
                    change=Label(
                        on=service.workload,
                        at=found.at,
                        set=found.set,
                        before=found.before,
                        uid=dig(workload, "metadata", "uid"),
                        force=(".".join((*found.at, REV)), f"spec.template.metadata.labels.{REV}"),
                    ),
                    step=self.kind,
                    summary=f"enrol {service.id}",
                    service=service.id,
                    risk="medium",
                )
            )
        return Drafted(drafts=tuple(drafts), right=tuple(right))


@dataclass(frozen=True)
class Strict:
    """Applies a policy per service, with a guard around it."""

    kind = "strict"
    title = "policies are strict"
    needs = frozenset()
    params: Mapping = field(default_factory=dict)

    def draft(self, scope):
        guard = guard_lease()
        lease = ref_of(guard)
        main = [
            Draft(
                change=Apply(on=ref_of(policy(each, "strict")), body=policy(each, "strict")),
                step=self.kind,
                summary=f"strict for {each.id}",
                service=each.id,
                risk="high",
                phase="workload",
            )
            for each in scope.services
        ]
        return Drafted(
            drafts=(
                Draft(
                    change=Apply(on=lease, body=guard),
                    step=self.kind,
                    summary="arm the guard",
                    place="opening",
                    phase="workload",
                ),
                *main,
                Draft(
                    change=Label(
                        on=lease, at=("metadata", "annotations"), set={DISARMED: "true"}, before={DISARMED: None}
                    ),
                    step=self.kind,
                    summary="disarm the guard",
                    place="closing",
                    phase="workload",
                ),
                Draft(
                    change=Delete(on=lease, uid="", before=guard),
                    step=self.kind,
                    summary="remove the guard",
                    place="closing",
                    phase="workload",
                ),
            ),
            guard={"workload": lease},
        )


def guard_lease():
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "meshup-guard-workload", "namespace": "meshup-system"},
        "spec": {},
    }


@dataclass(frozen=True)
class Hand:
    """Hands a write to somebody else."""

    kind = "hand"
    title = "somebody else has done it"
    needs = frozenset()
    params: Mapping = field(default_factory=dict)

    def draft(self, scope):
        on = Ref(api_version="v1", kind="ConfigMap", namespace="shop", name="dns")
        change = Handoff(
            on=on, to="team-edge", what="point DNS here", until={"data.to": "gateway"}, back="point it back"
        )
        return Drafted(drafts=(Draft(change=change, step=self.kind, summary="hand over DNS"),))


class Says:
    """A gate that gives what a test put into its script: answers by place, the last one for ever."""

    reads = "the test's script"
    params: Mapping = {}
    needs = frozenset()
    patience = QUICK

    def __init__(self, kind="says", title="the script says pass"):
        self.kind, self.title = kind, title
        self.script = {}
        self.looks = []
        self.moved = {}

    def observe(self, eyes, terms):
        self.looks.append(eyes.place)
        self.moved[eyes.place] = eyes.moved
        answers = self.script.get(eyes.place) or self.script.get("*") or ["pass"]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return {"answer": answer, "services": [each.id for each in eyes.services], "revision": eyes.revision}

    def judge(self, readings, terms):
        answer = readings[-1].data["answer"]
        return Verdict(answer=Answer[answer.upper()], because=f"the script says {answer}")


class Ready:
    """The workloads of the services have rolled out."""

    kind = "workloads-ready"
    title = "workloads are ready"
    reads = "workload status"
    params: Mapping = {}
    needs = frozenset()
    patience = QUICK

    def observe(self, eyes, terms):
        found = {}
        for service in eyes.services:
            workload = eyes.cluster.find(service.workload)
            found[service.id] = rollout(workload).because if workload and not rollout(workload).done else ""
        return {"waiting": {key: value for key, value in found.items() if value}}

    def judge(self, readings, terms):
        waiting = readings[-1].data["waiting"]
        if waiting:
            name, why = next(iter(waiting.items()))
            return Verdict(answer=Answer.UNKNOWN, because=f"{name}: {why}")
        return Verdict(answer=Answer.PASS, because="all are ready")


def deployment(namespace, name, *, marks=None, replicas=1, image="shop/app:1"):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(marks or {})},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
        },
    }


def shop(names, namespace="shop"):
    """Objects of a little shop: a namespace and a Deployment per name."""
    found = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}]
    return found + [deployment(namespace, each) for each in names]


def service(name, namespace="shop", **more):
    return Service(
        name=name,
        namespace=namespace,
        workload=Ref(api_version="apps/v1", kind="Deployment", namespace=namespace, name=name),
        owner=f"team-{name}",
        opt_in=OptIn(by="ana", at=datetime(2026, 11, 1, tzinfo=UTC)),
        **more,
    )


def gate(kind, patience=QUICK, **params):
    return GateSpec(kind=kind, params=params, patience=patience)


def book(waves, *, stages=None, in_flight=4, **more):
    """A runbook over waves (name -> service names): lay the plane, then onboard wave by wave."""
    services = tuple(service(each) for names in waves.values() for each in names)
    usual = (
        Stage(name="preflight", steps=(), gates=(gate("says"),)),
        Stage(name="ingress", steps=(StepSpec(kind="lay", params={}),), gates=(gate("says"),)),
        Stage(
            name="onboard",
            steps=(StepSpec(kind="enrol", params={}),),
            gates=(gate("workloads-ready"), gate("says")),
            waves=tuple(waves),
        ),
    )
    return Runbook(
        name="shop",
        path="meshup.yaml",
        digest="sha256:0",
        cluster_uid="",
        mesh=Mesh(driver="toy", release="2.0", revision="2-0", namespace=HOME, manifests=Manifests(source="directory")),
        ingress=None,
        services=services,
        waves=tuple(Wave(name=name, services=tuple(f"shop/{each}" for each in names)) for name, names in waves.items()),
        stages=usual if stages is None else stages,
        pacing=Pacing(in_flight=in_flight),
        budgets=Budgets(),
        metrics=Metrics(),
        **more,
    )


STRICT = Stage(
    name="strict",
    steps=(StepSpec(kind="strict", params={}),),
    before=(gate("evidence"),),
    gates=(gate("says"),),
)


def kinds():
    """Fresh steps and gates by kind."""
    steps = {each.kind: each for each in (Lay(), Enrol(), Strict(), Hand())}
    gates = {each.kind: each for each in (Says(), Says("evidence", "no plaintext is left"), Ready())}
    return steps, gates
