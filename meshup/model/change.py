"""The closed set of changes: each is one intended write, safe to repeat, with its inverse or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from meshup.model.fields import steps
from meshup.model.objects import Object, Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """POST of a new object. body: whole object; run, step and epoch annotations are added when it is sent."""

    on: Ref
    body: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Server-side apply of the fields meshup means to own.

    before: the same fields as they were (the body of the inverse), None when the object was absent: then the inverse
    is a Delete. uid: of the object that is there, "" when absent. force: field paths that the plan takes from another
    manager, in dotted form. whole: an object of ours that is there is replaced, as what somebody added to a list of it would
    stay beside what is applied.
    """

    on: Ref
    body: Object
    before: Object | None = None
    uid: str = ""
    force: tuple[str, ...] = ()
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Server-side apply of labels or annotations at one place of one object.

    at: path of the map, e.g. ("spec", "template", "metadata", "labels"); such a path restarts the workload's pods.
    set: key -> value wanted, None = absent. before: the same keys as they were, None = absent. annotations and
    annotations_before: the same for the annotations beside the labels, so that one write is one restart. marks: runs
    (or pins) whose mark the object may carry when it is written, "" = none; None = whoever wrote last. holds: pointer ->
    value of fields beside the template that keep the rollout half-way, in the same write; any later write of labels by meshup
    gives them up. holds_before: what is written for them on the way back, for those that had a value of their own.
    """

    on: Ref
    at: tuple[str, ...]
    set: Mapping[str, str | None]
    before: Mapping[str, str | None]
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    annotations_before: Mapping[str, str | None] = field(default_factory=dict)
    uid: str = ""
    force: tuple[str, ...] = ()
    marks: tuple[str, ...] | None = None
    holds: Mapping[str, Any] = field(default_factory=dict)
    holds_before: Mapping[str, Any] = field(default_factory=dict)

    @property
    def restarts(self) -> bool:
        """Tell whether the write rolls the pods of the workload."""
        return "template" in self.at

    def wanted(self) -> dict[tuple[str, ...], dict[str, Any]]:
        """Give path of a map -> keys with their values there: labels, annotations and what holds the rollout."""
        found: dict[tuple[str, ...], dict[str, Any]] = {self.at: dict(self.set)}
        if self.annotations:
            found.setdefault((*self.at[:-1], "annotations"), {}).update(self.annotations)
        for each, value in self.holds.items():
            *path, key = steps(each)
            found.setdefault(tuple(path), {})[key] = value
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """A rolling restart by the template annotation `meshup.dev/restart` = value (run id and step: deterministic).

    marks: as in Label.
    """

    on: Ref
    value: str
    before: str | None = None
    uid: str = ""
    marks: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evict:
    """Eviction of one pod, respecting disruption budgets. No way back is needed: its owner makes a new one."""

    on: Ref
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Removal of one object of ours, with UID precondition and inventory entry. before: to create it again."""

    on: Ref
    uid: str
    before: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """A write that somebody else does; meshup shows it and waits until `until` holds.

    to: who (a team, a Git repository, a DNS zone). what: one sentence. body: the patch or diff to hand over.
    until: ref and the field values (dotted path -> value) that show that it is so. back: the sentence for the way back.
    until_back: the same as until for the way back, {} = it is not waited for.
    """

    on: Ref
    to: str
    what: str
    until: Mapping[str, str]
    back: str
    body: Object = field(default_factory=dict)
    until_back: Mapping[str, str] = field(default_factory=dict)


Change: TypeAlias = Create | Apply | Label | Restart | Evict | Delete | Handoff


def leads_pods(change: Change) -> bool:
    """Tell whether a change decides what pods are made with that others make anew: on the way back it goes before these."""
    return isinstance(change, Apply | Handoff) and change.on.kind == "MutatingWebhookConfiguration"


def moves_pods(change: Change) -> bool:
    """Tell whether a change rolls the pods of a workload."""
    return isinstance(change, Restart) or (isinstance(change, Label) and change.restarts)
