"""Make the door: from a kubeconfig to a real server or a simulator behind HTTP, or over any other transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from meshup.cluster.clock import SIMULATOR_MARK, ServedClock, SimulatorClock
from meshup.cluster.door import Cluster
from meshup.cluster.retry import RULES, Again, Rules, Sender
from meshup.model.clock import Clock
from meshup.model.transport import Response, Transport

if TYPE_CHECKING:
    from meshup.cluster.access import Access


def connect(access: Access, *, rules: Rules = RULES, observer: Callable[[Again], None] | None = None) -> Cluster:
    """Open the door to the server of a kubeconfig; one request asks its version, which chooses the clock.

    Raises Unreachable when it does not answer or does not let us in.
    """
    from meshup.cluster.https import HttpsTransport

    transport = HttpsTransport(access)
    cluster = over(
        transport,
        real := ServedClock(),
        rules=rules,
        refresh=transport.refresh,
        server=access.server,
        context=access.context,
        namespace=access.namespace,
        observer=observer,
    )
    transport.renewed = cluster.still_the_same
    virtual = SimulatorClock(transport)

    def hear(answer: Response) -> None:
        virtual.hear(answer.headers)

    def hear_real(answer: Response) -> None:
        real.hear(answer.headers)

    cluster.use_clock(cluster.clock, hear)
    if cluster.version().endswith(SIMULATOR_MARK):
        cluster.use_clock(virtual, hear)
    else:
        cluster.use_clock(real, hear_real)
    return cluster


def over(
    transport: Transport,
    clock: Clock,
    *,
    rules: Rules = RULES,
    refresh: Callable[[], bool] | None = None,
    server: str = "the cluster",
    context: str = "",
    namespace: str = "default",
    observer: Callable[[Again], None] | None = None,
    in_flight: int = 0,
) -> Cluster:
    """Open the door over a transport and a clock. in_flight: 1 makes `gather` run calls one by one, in order."""
    made: list[Cluster] = []

    def renew() -> bool:
        if refresh is None or not refresh():
            return False
        made[0].still_the_same()
        return True

    sender = Sender(transport, clock, rules=rules, server=server, refresh=renew, observer=observer)
    made.append(Cluster(sender, context=context, namespace=namespace, in_flight=in_flight or rules.in_flight))
    return made[0]
