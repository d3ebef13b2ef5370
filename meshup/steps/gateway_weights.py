"""A gateway's traffic moves by weights: pods of two Deployments behind one Service, raised on one side, lowered on the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshup.meshes.leading import Beside
from meshup.model.change import Apply, Change, Delete, Handoff, Label
from meshup.model.objects import Object, annotated, dig, ref_of
from meshup.model.text import amount
from meshup.model.weights import Leg, legs
from meshup.steps.step import Draft

STEP = "ingress-gateway"
WANTED = "meshup.dev/gateway-pods"
"""Annotation of both Deployments: how many pods the gateway has when nothing of it moves."""
REPLICAS = "/spec/replicas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """A gateway that moves by weights. second: the second Deployment as it is, None = not there. pods: when nothing moves."""

    beside: Beside
    second: Object | None
    own: Object
    stage: str

    @property
    def pods(self) -> int:
        """How many pods the gateway has when nothing of it moves."""
        kept = annotated(self.second).get(WANTED, "") if self.second is not None else ""
        return int(kept) if kept.isdigit() and int(kept) > 0 else self.beside.pods

    @property
    def new_now(self) -> int:
        """How many pods the second one has."""
        return int(dig(self.second, "spec", "replicas") or 0) if self.second is not None else 0

    def left(self, weights: Sequence[int]) -> tuple[Leg, ...]:
        """Give the weights that are not reached yet."""
        return tuple(
            each
            for each in legs(weights, self.pods)
            if each.new > self.new_now or each.old < self.beside.pods or self.second is None
        )

    def forth(self, left: Sequence[Leg]) -> Iterator[Draft]:
        """Give the changes of each weight: pods of the new revision first, and once these are ready fewer of the old."""
        new, old = self.new_now, self.beside.pods
        for number, leg in enumerate(left):
            later = self.stage if number else ""
            if leg.new != new or self.second is None:
                change = self._second(leg.new, before=new if number or self.second is not None else None)
                text = f"{amount(leg.new, 'pod')} of the new revision: {change.on}"
                yield self._draft(change, text, phase=leg.name, after=later)
            if number == 0:
                door = Apply(on=ref_of(self.beside.door), body=self.beside.door)
                yield self._draft(door, f"new {door.on}, at which these pods are probed", phase=leg.name, risk="none")
            if leg.old != old:
                text = f"{amount(leg.old, 'pod')} of the old revision, {leg.share:.0f} % of the pods are new: {self.beside.own}"
                first = old == self.beside.pods
                yield self._draft(
                    self._own(leg.old, was=old), text, phase=leg.name, after="" if first else later, settled=True
                )
            new, old = leg.new, leg.old

    def home(self, *, after: str) -> Iterator[Draft]:
        """Give the changes that bring traffic back to the gateway's own Deployment, of the new revision by then.

        after: the stage in which the second one took the traffic, "" = it has it now.
        """
        beside, pods = self.beside, self.pods
        new = pods if after else self.new_now
        old = 0 if after else beside.pods
        if beside.given:
            moved = Handoff(
                on=beside.own,
                to="the control plane",
                what=f"gives {beside.own} the new revision",
                until=beside.given,
                back=f"gives {beside.own} the old revision again",
            )
            yield self._draft(moved, f"wait until {beside.own} has the new revision", after=after)
        if old != pods or after:
            change = self._own(pods, was=old, moved=True)
            yield self._draft(change, f"{amount(pods, 'pod')} of its own again: {beside.own}", after=after)
        if self.second is None and not after:
            return
        if new:
            change = self._second(0, before=new)
            yield self._draft(change, f"no pod of the second one: {change.on}", after=after, settled=True)
        gone = self._body(0)
        for number, body in enumerate((gone, beside.door)):
            delete = Delete(on=ref_of(body), uid="", before=body)
            yield self._draft(delete, f"remove {delete.on}", after=after, settled=number == 0)

    def turned(self, *, after: str) -> Apply | None:
        """Give what moves the own Deployment to the mesh's revision while it has no pods; None when it is not ours."""
        beside, pods = self.beside, 0 if after else self.beside.pods
        if beside.before is None or beside.after is None:
            return None
        before, body = with_replicas(beside.before, pods), with_replicas(beside.after, pods)
        return Apply(
            on=beside.own, body=body, before=before, uid=str(dig(self.own, "metadata", "uid") or ""), force=beside.force
        )

    def _draft(
        self,
        change: Change,
        summary: str,
        *,
        phase: str = "",
        after: str = "",
        settled: bool = False,
        risk: Any = "medium",
    ) -> Draft:
        return Draft(change=change, step=STEP, summary=summary, phase=phase, after=after, settled=settled, risk=risk)

    def _body(self, replicas: int) -> Object:
        return with_replicas(self.beside.body, replicas, {WANTED: str(self.pods)})

    def _second(self, replicas: int, *, before: int | None) -> Apply:
        body = self._body(replicas)
        return Apply(on=ref_of(body), body=body, before=self._body(before) if before is not None else None)

    def _own(self, replicas: int, *, was: int, moved: bool = False) -> Change:
        """Give the change of the own one's replicas: by its whole body where we made it, else by that one field."""
        beside = self.beside
        uid = str(dig(self.own, "metadata", "uid") or "")
        if beside.before is not None and beside.after is not None:
            body = beside.after if moved else beside.before
            return Apply(
                on=beside.own,
                body=with_replicas(body, replicas),
                before=with_replicas(body, was),
                uid=uid,
                force=beside.force,
            )
        untouched = was == beside.pods and not moved
        return Label(
            on=beside.own,
            at=("metadata", "annotations"),
            set={WANTED: None if moved else str(self.pods)},
            before={WANTED: annotated(self.own).get(WANTED) if untouched else str(self.pods)},
            uid=uid,
            force=beside.force,
            holds={REPLICAS: replicas},
            holds_before={REPLICAS: was},
        )


def with_replicas(body: Object, replicas: int, notes: Mapping[str, str] | None = None) -> Object:
    """Give a Deployment that says how many pods it has, and more annotations."""
    meta = dict(body["metadata"])
    if notes:
        meta["annotations"] = {**(meta.get("annotations") or {}), **notes}
    return {**body, "metadata": meta, "spec": {**body["spec"], "replicas": replicas}}
