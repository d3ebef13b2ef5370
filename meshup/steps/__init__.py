"""One file per kind of step: a pure function from runbook and snapshot to changes, inverses derived by the planner."""

from __future__ import annotations

from meshup.steps.control_plane import InstallControlPlane
from meshup.steps.endpoint_counts import EndpointCounts
from meshup.steps.enrol import Enrol
from meshup.steps.freshen import Freshen
from meshup.steps.ingress_gateway import IngressGateway
from meshup.steps.ledger import InstallLedger
from meshup.steps.minimise import Minimise
from meshup.steps.permissive import Permissive
from meshup.steps.step import Step
from meshup.steps.strict import Strict

BUILT_IN: tuple[Step, ...] = (
    InstallLedger(),
    InstallControlPlane(),
    IngressGateway(),
    EndpointCounts(),
    Freshen(),
    Enrol(),
    Permissive(),
    Strict(),
    Minimise(),
)
