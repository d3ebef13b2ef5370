"""strict: plaintext is refused, workload by workload, then namespace, then mesh, with the way back armed first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from meshup.meshes.driver import Policy
from meshup.model.change import Apply, Create, Delete, Label
from meshup.model.duration import Duration
from meshup.model.objects import Object, Ref, dig, is_managed, ref_of
from meshup.model.problem import Problem, Where
from meshup.model.runbook import Service
from meshup.steps.jobs import HOME, IMAGE, account, binding, job, role
from meshup.steps.step import Draft, Drafted, Scope

DISARMED = "meshup.dev/disarmed"
LEVELS = ("workload", "namespace", "mesh")
NOBODY = "strict mode is left out, as it would cover no service"
ASK = "no service of any wave is opted in, so none moves; its owner says so: meshup opt-in SERVICE -n NAMESPACE"


class Strict:
    """Flips policies of ours to strict, one level at a time; each level is a wave with a guard of its own."""

    kind: ClassVar[str] = "strict"
    title: ClassVar[str] = "plaintext is refused by every enrolled service"
    params: ClassVar[Mapping[str, tuple[type, Any, str]]] = {
        "levels": (list, list(LEVELS), "how wide, in this order: workload, namespace, mesh"),
        "guard-after": (Duration, Duration(120.0), "the guard takes it back when meshup was silent for so long"),
        "guard-image": (str, IMAGE, "image of the guard"),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"strict-per-workload"})

    def draft(self, scope: Scope) -> Drafted:
        """Give, per level: the guard's objects first, the policies, and the disarming last."""
        services = members(scope)
        if not services:
            return Drafted(right=(NOBODY,), notes=(ASK,))
        drafts: list[Draft] = []
        problems: list[Problem] = []
        right: list[str] = []
        guards: dict[str, Ref] = {}
        for level in scope.params.get("levels") or LEVELS:
            problems += [
                _conflict(each) for each in scope.driver.policy_conflicts(services, scope.snapshot, level=level)
            ]
            flips = [
                each
                for each in scope.driver.policies(services, scope.snapshot, scope.book.mesh, level=level, mode="strict")
                if not _is_already(each, scope)
            ]
            if not flips:
                right.append(f"strict per {level}: nothing left to do")
                continue
            made = guard_objects(level, flips, scope)
            guards[level] = ref_of(made[-2])
            drafts += _opening(made, level)
            drafts += [self._flip(each, level, scope) for each in flips]
            drafts += _closing(made, level)
        note = f"clients that call more rarely than the evidence window can't be seen; strict covers {len(services)} services"
        return Drafted(
            drafts=tuple(drafts),
            problems=tuple(problems),
            right=tuple(right),
            guard=guards,
            notes=(note,) if drafts else (),
        )

    def _flip(self, policy: Policy, level: str, scope: Scope) -> Draft:
        ref = ref_of(policy.body)
        found = scope.snapshot.get(ref)
        before: Object | None = None
        uid = ""
        if found is not None:
            before = {key: value for key, value in found.items() if key in ("apiVersion", "kind", "spec")}
            before = {**before, "metadata": {"name": ref.name, "namespace": ref.namespace}}
            uid = str(dig(found, "metadata", "uid") or "")
        elif level == "mesh":
            before = _permissive_before(scope)
        covers = policy.covers[0] if level == "workload" else f"{len(policy.covers)} services"
        return Draft(
            change=Apply(on=ref, body=policy.body, before=before, uid=uid),
            step=self.kind,
            summary=f"strict for {covers}: {ref}",
            risk="high",
            phase=level,
            after=_earlier(scope),
        )


def members(scope: Scope) -> tuple[Service, ...]:
    """Give the services that will be enrolled when this stage begins: opted in and in a wave of an enrolling stage."""
    waves = {
        name for stage in scope.book.stages if any(step.kind == "enrol" for step in stage.steps) for name in stage.waves
    }
    enrolled = {each for wave in scope.book.waves if wave.name in waves for each in wave.services}
    return tuple(each for each in scope.book.services if each.id in enrolled and each.opt_in is not None)


def guard_objects(level: str, flips: Sequence[Policy], scope: Scope) -> list[Object]:
    """Give account, roles, bindings, Lease and Job, in the order they are applied; the last two are Lease and Job."""
    name = f"meshup-guard-{level}"
    after = float(scope.params.get("guard-after") or 120.0)
    arguments = ["guard", "--lease", f"{HOME}/{name}", "--after", f"{after:g}"]
    by_namespace: dict[str, list[str]] = {}
    for each in flips:
        meta = each.body["metadata"]
        by_namespace.setdefault(meta["namespace"], []).append(meta["name"])
        arguments += ["--policy", _path(each)]
    arguments += ["--back", f"{flips[0].field}={flips[0].back}"]
    api_group = str(flips[0].body["apiVersion"]).partition("/")[0]
    made: list[Object] = [account(name)]
    lease_rule = {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": [name],
        "verbs": ["get", "patch"],
    }
    made += [role(f"{name}-lease", HOME, [lease_rule]), binding(f"{name}-lease", HOME, to=name)]
    for namespace, names in sorted(by_namespace.items()):
        rule = {
            "apiGroups": [api_group],
            "resources": [flips[0].plural],
            "resourceNames": sorted(names),
            "verbs": ["get", "patch"],
        }
        made += [role(name, namespace, [rule]), binding(name, namespace, to=name)]
    lease: Object = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": HOME},
        "spec": {"leaseDurationSeconds": int(after)},
    }
    image = str(scope.params.get("guard-image") or IMAGE)
    outside = scope.driver.outside()
    return [*made, lease, job(name, arguments, account=name, image=image, pods=2, outside=outside)]


def _path(policy: Policy) -> str:
    meta = policy.body["metadata"]
    return f"/apis/{policy.body['apiVersion']}/namespaces/{meta['namespace']}/{policy.plural}/{meta['name']}"


def _opening(made: Sequence[Object], level: str) -> list[Draft]:
    found = []
    for body in made:
        ref = ref_of(body)
        change = Create(on=ref, body=body) if ref.kind == "Job" else Apply(on=ref, body=body)
        found.append(
            Draft(change=change, step=Strict.kind, summary=f"arm: {ref}", place="opening", phase=level, risk="none")
        )
    return found


def _closing(made: Sequence[Object], level: str) -> list[Draft]:
    lease = ref_of(made[-2])
    mark = Label(on=lease, at=("metadata", "annotations"), set={DISARMED: "true"}, before={DISARMED: None})
    found = [
        Draft(change=mark, step=Strict.kind, summary=f"disarm: {lease}", place="closing", phase=level, risk="none")
    ]
    for body in reversed(made):
        ref = ref_of(body)
        change = Delete(on=ref, uid="", before=body)
        found.append(
            Draft(
                change=change,
                step=Strict.kind,
                summary=f"disarm: remove {ref}",
                place="closing",
                phase=level,
                risk="none",
            )
        )
    return found


def _is_already(policy: Policy, scope: Scope) -> bool:
    found = scope.snapshot.get(ref_of(policy.body))
    return is_managed(found) and dig(found, "spec") == policy.body.get("spec")


def _permissive_before(scope: Scope) -> Object | None:
    """Give what the permissive step of an earlier stage will have written, so that the way back is to it."""
    if not any(step.kind == "permissive" for stage in scope.book.stages for step in stage.steps):
        return None
    found = scope.driver.policies(scope.book.services, scope.snapshot, scope.book.mesh, level="mesh", mode="permissive")
    return found[0].body if found else None


def _earlier(scope: Scope) -> str:
    if scope.book.mesh.revision in scope.driver.installed(scope.snapshot):
        return ""
    for stage in scope.book.stages:
        if any(step.kind == "install-control-plane" for step in stage.steps):
            return stage.name
    return ""


def _conflict(text: str) -> Problem:
    return Problem(
        code="MU3217",
        what=text,
        why="strict mode is switched only where no other policy or rule decides",
        fix="remove or hand over what is named, then: meshup plan",
        at=Where(object=text.partition(" selects ")[0].partition(" sets ")[0].partition(" decides ")[0]),
    )
