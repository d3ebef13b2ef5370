"""One file per gate: observe reads the cluster, judge only thinks; unknown never advances."""

from __future__ import annotations

from meshup.gates.asking import HttpProbe, PrometheusQuery
from meshup.gates.canary.gate import Canary
from meshup.gates.gate import Gate
from meshup.gates.holding import GuardArmed, StrictHolds
from meshup.gates.in_sync import ProxiesInSync
from meshup.gates.ingress_probe import IngressProbe
from meshup.gates.ledger import LedgerEnforced
from meshup.gates.leftovers import JobsFinished, RevisionsUnused
from meshup.gates.on_hold import NotOnHold
from meshup.gates.people import Approval, Soak
from meshup.gates.plaintext import PlaintextCallers
from meshup.gates.preflight import Preflight
from meshup.gates.proxies_right import ProxiesRight
from meshup.gates.ready import WorkloadsReady
from meshup.gates.traffic import Latency, NewConnections, SuccessRate

BUILT_IN: tuple[Gate, ...] = (
    Preflight(),
    LedgerEnforced(),
    WorkloadsReady(),
    ProxiesRight(),
    ProxiesInSync(),
    SuccessRate(),
    Latency(),
    NewConnections(),
    Canary(),
    PlaintextCallers(),
    GuardArmed(),
    StrictHolds(),
    IngressProbe(),
    HttpProbe(),
    PrometheusQuery(),
    Soak(),
    Approval(),
    NotOnHold(),
    JobsFinished(),
    RevisionsUnused(),
)
