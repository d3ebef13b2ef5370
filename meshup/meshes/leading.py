"""What leads traffic and pods to a revision from outside of a workload: a second gateway behind one address, and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshup.model.objects import Object, Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A gateway's own Deployment, and a second one of the mesh's revision that its Service selects too.

    own: the gateway's own; pods: its replicas now. revision: whose pods it has. body: the second one, without replicas.
    door: a Service of the second one's pods alone. before, after: what is applied to its own at its revision and at the
    mesh's, without replicas; None = its control plane writes it, and only its replicas are ours to say. given: fields
    (pointer -> value) that show that the control plane moved it, {} = our apply does. force: fields that are taken from
    somebody. blocked: why no second one can take traffic, "" = it can.
    """

    own: Ref
    pods: int
    revision: str
    body: Object
    door: Object
    before: Object | None = None
    after: Object | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    force: tuple[str, ...] = ()
    blocked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A name by which namespaces lead their pods to a revision.

    on: what resolves it. revision: where it leads now. namespaces: that carry it. body, before: what is applied so that it leads to
    the mesh's revision, and the same as it is; both empty where somebody else made it. shown: fields (pointer -> value)
    that show that it leads there, shown_before: that it leads where it does now. command, back: how whoever made it retargets it.
    """

    name: str
    on: Ref
    revision: str
    namespaces: tuple[str, ...]
    body: Object = field(default_factory=dict)
    before: Object = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)
    shown_before: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    back: str = ""
