"""What a comparison of two revisions asks of a mesh's metrics, and whom their rows are about, as a driver says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One grouped query of a comparison, for all services at once.

    metric: of the comparison's vocabulary. view: own (the service's proxies), client (those of one that only calls) or
    callers. part: what the rows' values are: codes (requests, by the code among the labels), total, good, bad, buckets
    (by le), points (a gauge, asked over a range). split: by what a row is given to an arm: the pod that was scraped, the
    callee's revision among the labels, or the callee's address. names: metrics that it reads. resets: query for how many
    of these counters began anew, "" = those of `restarts` of the proxies. rule: it reads what a recording rule keeps.
    where: matchers of its series, as they stand in the query; on a proxy's own page the same ones hold.
    Templates have ${pod}, ${home}, ${homes}, ${namespace}, ${workload}, ${peers}, ${window} and, for points, ${rate}.
    """

    metric: str
    view: Literal["own", "client", "callers"]
    part: Literal["codes", "total", "good", "bad", "buckets", "points"]
    split: Literal["pod", "revision", "address"]
    query: str
    names: tuple[str, ...]
    resets: str = ""
    rule: bool = False
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One set of metrics that tells some of a comparison. Of several that tell the same, the first that is held counts.

    name: as plans and verdicts say it. needs: metrics without which a server does not hold it. on_pages: proxies show them
    on their own pages.
    """

    name: str
    asks: tuple[Ask, ...]
    needs: tuple[str, ...]
    on_pages: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What one caller's proxy counted of one endpoint of a service. peer: "namespace/name" called; address: without port."""

    peer: str
    address: str
    requests: int = 0
    failed: int = 0
    connections: int = 0
    connect_failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Who a row of a comparison is about. callee: "namespace/name", "" = no service. caller: of `Names.caller`, "" = the pod.

    revision: what the row calls the callee's revision, "" = nothing. address: the callee's, without port, "" = none.
    """

    callee: str
    caller: str = ""
    revision: str = ""
    address: str = ""
