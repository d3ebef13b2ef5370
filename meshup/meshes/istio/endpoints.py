"""Counts by endpoint at the callers: the filter that lets proxies keep them, and what one proxy's page shows of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from meshup.meshes.asks import Endpoint
from meshup.meshes.istio.comparing import whose
from meshup.meshes.istio.counters import samples
from meshup.meshes.istio.words import NETWORKING
from meshup.model.objects import Object
from meshup.model.runbook import Mesh

NAME = "meshup-endpoint-counts"
PREFIX = "envoy_cluster_endpoint_"
COUNTS = {
    "rq_total": "requests",
    "rq_error": "failed",
    "cx_total": "connections",
    "cx_connect_fail": "connect_failures",
}
CONTEXTS = ("SIDECAR_OUTBOUND", "GATEWAY")
"""Where callers are: beside their programs, and at the edge."""


def objects(mesh: Mesh, namespaces: Sequence[str]) -> tuple[Object, ...]:
    """Give one EnvoyFilter per namespace of callers, in order; [] of namespaces gives none.

    It merges one field into every outbound cluster and changes no route: Envoy 1.39 under the lab's istiod took it without
    a restart and without a rejected update. Taking it away ends the counts, and Envoy forgets them.
    """
    del mesh
    return tuple(
        {
            "apiVersion": f"{NETWORKING}/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": {"name": NAME, "namespace": namespace},
            "spec": {
                "configPatches": [
                    {
                        "applyTo": "CLUSTER",
                        "match": {"context": context},
                        "patch": {
                            "operation": "MERGE",
                            "value": {"track_cluster_stats": {"per_endpoint_stats": True}},
                        },
                    }
                    for context in CONTEXTS
                ]
            },
        }
        for namespace in sorted(set(namespaces))
    )


def read(text: str) -> tuple[Endpoint, ...]:
    """Give what one proxy counted by endpoint, in the order of peer and address; () when it keeps no such counts.

    Raises ValueError for text that is no page of counters.
    """
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for name, labels, value in samples(text):
        word = COUNTS.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
        row = whose(labels) if word else None
        if word is None or row is None or not row.callee or not row.address:
            continue
        counts = found[row.callee, row.address]
        counts[word] = counts.get(word, 0) + int(value)
    return tuple(Endpoint(peer=peer, address=address, **counts) for (peer, address), counts in sorted(found.items()))
