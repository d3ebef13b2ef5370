"""Counts by endpoint: which proxies keep them, from when, and until when an endpoint is among them."""

from __future__ import annotations

from math import inf

from meshup.model.objects import dig
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Obj
from meshup.simulate.world.mesh import counts_endpoints


class Endpoints:
    """One rule for a proxy's own page and for what is scraped of it: an endpoint is forgotten with the pod at its address.

    A real Envoy removes an endpoint's statistics with the endpoint; no address is given to a second pod here. everywhere:
    all proxies keep such counts, whatever they are told.
    """

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.everywhere = False
        self._told_at = 0.0
        self._counting: dict[str, bool] = {}
        self._since: dict[str, float] = {}
        self._gone: dict[str, float] = {}

    def counted_in(self, namespace: str) -> bool:
        """Tell whether proxies of a namespace count by endpoint."""
        found = self._counting.get(namespace)
        if found is None:
            found = self._counting[namespace] = self.everywhere or counts_endpoints(self._server, namespace)
            if found:
                self._since.setdefault(namespace, self._told_at)
        return found

    def since(self, namespace: str) -> float:
        """Give when proxies of a namespace began to, at zero, on the cluster's elapsed clock."""
        return self._since.get(namespace, 0.0)

    def told(self) -> frozenset[str]:
        """Look again who counts; give the namespaces whose proxies do so no longer, which forget what they counted."""
        before, self._counting = self._counting, {}
        self._told_at = self._server.clock.elapsed()
        self._since = {each: at for each, at in self._since.items() if self.counted_in(each)}
        return frozenset(each for each, counted in before.items() if counted and not self.counted_in(each))

    def gone(self, pod: Obj) -> None:
        """Take note that a pod went."""
        address = str(dig(pod, "status", "podIP") or "")
        if address:
            self._gone[address] = self._server.clock.elapsed()

    def until(self, endpoint: str) -> float:
        """Give when an endpoint, "address:port", went; infinite while its pod is there."""
        return self._gone.get(endpoint.rpartition(":")[0], inf)
