"""What a real cluster shows of its traffic: Envoy's Prometheus page, access logs, pod logs, the gateway's answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from meshup.model.objects import dig, labels, matches
from meshup.model.transport import Response
from meshup.simulate.api.calls import Call
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Obj
from meshup.simulate.prometheus import api as prometheus
from meshup.simulate.world.badness import Asked
from meshup.simulate.world.bits import is_ready
from meshup.simulate.world.counted import Count
from meshup.simulate.world.edges import seen
from meshup.simulate.world.history import BOUNDS, is_prometheus
from meshup.simulate.world.mesh import (
    GATEWAY_NAME,
    GATEWAYS,
    OWN_GATEWAYS,
    ROUTES,
    VIRTUAL,
    has_proxy,
    is_strict,
    serves,
)
from meshup.simulate.world.nodes import Nodes
from meshup.simulate.world.scraped import Scraped
from meshup.simulate.world.services import Services
from meshup.simulate.world.traffic import Traffic


class Evidence:
    """Answers pod proxies and logs, and requests that programs make inside the cluster."""

    def __init__(self, server: ApiServer, traffic: Traffic, nodes: Nodes, services: Services) -> None:
        self._server, self._traffic, self._nodes, self._services = server, traffic, nodes, services
        self._scraped = Scraped(server, traffic)
        self._turn = 0
        server.register(self.answer)

    def answer(self, call: Call) -> Response | None:
        """Answer a proxy or log call; None for everything else."""
        if call.group or call.plural not in ("pods", "services") or call.request.method != "GET":
            return None
        if call.subresource == "log" and call.plural == "pods":
            return self._log(call)
        if call.subresource != "proxy":
            return None
        if call.plural == "pods":
            return self._pod_proxy(call)
        return self._service_proxy(call)

    def _pod_proxy(self, call: Call) -> Response | None:
        parts = call.name.split(":")
        name, port = (parts[1], parts[2]) if len(parts) == 3 else (parts[0], parts[1] if len(parts) > 1 else "80")
        pod = self._server.objects.get("pods", call.namespace, name)
        if pod is None:
            raise Refusal(404, f'pods "{name}" not found', details={"name": name, "kind": "pods"})
        path = call.rest or "/"
        if port in ("15090", "15020") and has_proxy(pod) and path.rstrip("/") == "/stats/prometheus":
            self._traffic.count_all()
            return Response(
                status=200, headers={"content-type": "text/plain; version=0.0.4"}, body=self.page(pod).encode()
            )
        if port == "9090" and is_prometheus(pod):
            return self._prometheus(call)
        if port == "15021" and path == "/healthz/ready" and has_proxy(pod):
            return Response(status=200, headers={"content-type": "text/plain"}, body=b"")
        if any(str(each.get("containerPort")) == port for each in _ports(pod)) and is_ready(pod):
            return self._asked(pod)
        why = (
            f"error trying to reach service: dial tcp {dig(pod, 'status', 'podIP')}:{port}: connect: connection refused"
        )
        raise Refusal(503, why, reason="ServiceUnavailable")

    def _asked(self, pod: Obj) -> Response:
        """Answer one plaintext request to a program, as the proxy before it lets it: strict mode and a bad release show."""
        if is_strict(self._server, pod):
            raise Refusal(503, "error trying to reach service: EOF", reason="ServiceUnavailable")
        own, releases = seen(pod), self._traffic.releases
        asked = Asked(
            caller="", age_s=releases.age_s(own.uid, self._server.clock.elapsed()), rate=0.0, chosen="", ending=False
        )
        failed = releases.drawn(("probe", own.uid), releases.effect(own.release, asked).errors)
        return Response(status=503 if failed else 200, headers={"content-type": "text/plain"}, body=b"")

    def _service_proxy(self, call: Call) -> Response | None:
        parts = call.name.split(":")
        name = parts[1] if len(parts) == 3 else parts[0]
        if self._server.objects.get("services", call.namespace, name) is None:
            raise Refusal(404, f'services "{name}" not found', details={"name": name, "kind": "services"})
        behind = self._services.pods(call.namespace, name)
        if not behind:
            raise Refusal(503, f'no endpoints available for service "{call.name}"', reason="ServiceUnavailable")
        if any(is_prometheus(each) for each in behind):
            return self._prometheus(call)
        return Response(status=200, headers={"content-type": "text/plain"}, body=b"ok\n")

    def _prometheus(self, call: Call) -> Response:
        return prometheus.answer(
            self._scraped, call.rest or "/", call.request.query, self._server.clock.now().timestamp()
        )

    def page(self, pod: Obj) -> str:
        """Write one proxy's counters as Envoy prints them."""
        state = self._traffic.state(pod)
        rows: dict[str, list[str]] = {}
        active = self._traffic.active(pod)

        def put(name: str, labels: str, value: float) -> None:
            rows.setdefault(name, []).append(f"{name}{{{labels}}} {int(value)}")

        for cluster, count in sorted(state.clusters.items()):
            label = f'cluster_name="{cluster}"'
            put("envoy_cluster_upstream_rq_total", label, count.requests)
            put("envoy_cluster_upstream_rq_completed", label, count.requests)
            put("envoy_cluster_upstream_rq", f'{label},response_code_class="2xx"', count.requests - count.failed)
            put("envoy_cluster_upstream_rq", f'{label},response_code_class="5xx"', count.failed)
            put("envoy_cluster_upstream_cx_total", label, count.connections)
            put("envoy_cluster_upstream_cx_connect_fail", label, count.connect_failed)
            put("envoy_cluster_upstream_cx_active", label, round(active.get(cluster, 0.0)) if count.connections else 0)
            _histogram(put, "envoy_cluster_upstream_rq_time", label, count)
            if cluster.startswith("outbound|"):
                put("envoy_cluster_ssl_handshake", label, count.mutual - count.untrusted)
                put("envoy_cluster_ssl_connection_error", label, count.untrusted)
                put("envoy_cluster_ssl_fail_verify_error", label, 0)
                put("envoy_cluster_upstream_cx_overflow", label, 0)
                put("envoy_cluster_upstream_rq_pending_overflow", label, 0)
        now = self._server.clock.elapsed()
        there = {key: one for key, one in state.endpoints.items() if self._traffic.endpoints.until(key[1]) > now}
        for (cluster, endpoint), one in sorted(there.items()):
            label = f'envoy_cluster_name="{cluster}",envoy_endpoint_address="{endpoint}"'
            put("envoy_cluster_endpoint_rq_total", label, one.requests)
            put("envoy_cluster_endpoint_rq_success", label, int(one.requests) - int(one.failed))
            put("envoy_cluster_endpoint_rq_error", label, one.failed)
            put("envoy_cluster_endpoint_rq_timeout", label, 0)
            put("envoy_cluster_endpoint_cx_total", label, one.connections)
            put("envoy_cluster_endpoint_cx_connect_fail", label, one.connect_failed)
        for port, (plain, tls) in sorted(state.inbound.items()):
            label = f'http_conn_manager_prefix="inbound_0.0.0.0_{port}"'
            put("envoy_http_downstream_cx_total", label, int(plain) + int(tls))
            put("envoy_http_downstream_cx_ssl_total", label, tls)
            held = max(1, round(active.get(f"inbound|{port}||", 0.0))) if tls else 0
            put("envoy_http_downstream_cx_active", label, held)
            put("envoy_http_downstream_cx_ssl_active", label, held)
            answered = state.clusters.get(f"inbound|{port}||", Count())
            put("envoy_http_downstream_rq_total", label, answered.requests)
            put("envoy_http_downstream_rq_completed", label, answered.requests)
            for code, value in (("2xx", answered.requests - answered.failed), ("5xx", answered.failed)):
                put("envoy_http_downstream_rq", f'response_code_class="{code}",{label}', value)
            _histogram(put, "envoy_http_downstream_rq_time", label, answered)
        if not state.inbound:
            for name in ("cx_total", "cx_ssl_total", "cx_active", "cx_ssl_active"):
                put(f"envoy_http_downstream_{name}", 'http_conn_manager_prefix="inbound_0.0.0.0_8080"', 0)
        listener = 'listener_address="0.0.0.0_15006"'
        put("envoy_listener_no_filter_chain_match", listener, state.refused)
        put("envoy_listener_ssl_handshake", listener, state.handshakes)
        put("envoy_listener_ssl_connection_error", listener, state.untrusted)
        put("envoy_cluster_manager_cds_update_rejected", "", len(state.rejected))
        put("envoy_listener_manager_lds_update_rejected", "", 0)
        put("envoy_cluster_upstream_rq_active", 'cluster_name="xds-grpc"', 1)
        put("envoy_control_plane_connected_state", "", 1)
        put("envoy_server_memory_allocated", "", self._traffic.memory_bytes(pod))
        lines = []
        for name, several in rows.items():
            kind = (
                "histogram"
                if name.endswith("_bucket")
                else "gauge"
                if name.endswith(("_active", "_state", "_allocated"))
                else "counter"
            )
            if not name.endswith(("_time_sum", "_time_count")):
                lines.append(f"# TYPE {name.removesuffix('_bucket')} {kind}")
            lines += several
        return "\n".join(lines) + "\n"

    def _log(self, call: Call) -> Response:
        pod = self._server.objects.get("pods", call.namespace, call.name)
        if pod is None:
            raise Refusal(404, f'pods "{call.name}" not found', details={"name": call.name, "kind": "pods"})
        _must_have_begun(pod, str(call.query.get("container") or ""))
        uid = pod["metadata"]["uid"]
        if call.query.get("container") == "istio-proxy" or (
            has_proxy(pod) and uid not in self._nodes.logs and "container" in call.query
        ):
            self._traffic.count_all()
            text = self._access_log(pod, float(call.query.get("sinceSeconds") or 1e12))
        else:
            text = "".join(f"{line}\n" for line in self._nodes.logs.get(uid, ()))
        lines = text.splitlines(keepends=True)
        tail = call.query.get("tailLines")
        if tail and tail.isdigit():
            lines = lines[-int(tail) :]
        return Response(status=200, headers={"content-type": "text/plain"}, body="".join(lines).encode())

    def _access_log(self, pod: Obj, since_s: float) -> str:
        now = self._server.clock.elapsed()
        own = str(dig(pod, "status", "podIP") or "")
        lines = []
        for at, address, mutual, port, service in self._traffic.state(pod).calls:
            if now - at > since_s:
                continue
            moment = self._server.clock.now() - timedelta(seconds=now - at)
            namespace, _, name = service.partition("/")
            sni = f"outbound_.{port}_._.{name}.{namespace}.svc.cluster.local" if mutual else "-"
            lines.append(
                f'[{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 521 2 1 "-" '
                f'"simulated" "00000000-0000-4000-8000-000000000000" "{name}.{namespace}" "{own}:{port}" inbound|{port}|| '
                f"127.0.0.6:34369 {own}:{port} {address}:40370 {sni} default\n"
            )
        return "".join(lines)

    def fetch(self, ip: str, url: str, host: str) -> tuple[int, str]:
        """Answer a program's request inside the cluster: to a gateway by its routes, to a Service by its pods."""
        del ip
        rest = url.partition("://")[2]
        where, slash, path = rest.partition("/")
        name, _, namespace = where.partition(":")[0].partition(".")
        namespace = namespace.partition(".")[0]
        path = slash + path if slash else "/"
        if self._server.objects.get("services", namespace, name) is None:
            return 0, f"no such host {where}"
        pods = self._services.pods(namespace, name)
        if not pods:
            return 0, "connection refused"
        self._turn += 1
        pod = pods[self._turn % len(pods)]
        own = labels(pod)
        gateway = self._server.store.get(GATEWAYS, namespace, own.get(GATEWAY_NAME, ""))
        if gateway is not None:
            known = serves(gateway, pod)
            return self._routed(namespace, own[GATEWAY_NAME], host, path) if known else (0, "connection refused")
        for each in self._server.store.list(OWN_GATEWAYS):
            if matches({"matchLabels": dig(each, "spec", "selector") or {"": ""}}, own):
                return self._virtual(each["metadata"]["namespace"], each["metadata"]["name"], host, path)
        return 200, "ok"

    def _virtual(self, namespace: str, gateway: str, host: str, path: str) -> tuple[int, str]:
        """Answer by VirtualServices of a gateway of Istio's own API: the first route that matches."""
        for service in self._server.store.list(VIRTUAL):
            home = service["metadata"]["namespace"]
            bound = {each if "/" in each else f"{home}/{each}" for each in dig(service, "spec", "gateways") or ()}
            if f"{namespace}/{gateway}" not in bound or not _is_for(host, dig(service, "spec", "hosts")):
                continue
            for rule in dig(service, "spec", "http") or ():
                uris = [each.get("uri") or {} for each in rule.get("match") or ()] or [{"prefix": "/"}]
                if not any(path == each.get("exact") or path.startswith(each.get("prefix", "\0")) for each in uris):
                    continue
                target = str(dig(rule, "route", 0, "destination", "host") or "")
                name, _, rest = target.partition(".")
                there = self._services.pods(rest.partition(".")[0] or home, name)
                return (200, "ok") if there else (503, "no healthy upstream")
        return 404, ""

    def _routed(self, namespace: str, gateway: str, host: str, path: str) -> tuple[int, str]:
        best: tuple[int, Obj, str] | None = None
        for route in self._server.store.list(ROUTES):
            parents = [
                (each.get("name"), each.get("namespace") or route["metadata"]["namespace"])
                for each in dig(route, "spec", "parentRefs") or ()
            ]
            if (gateway, namespace) not in parents or not _is_for(host, dig(route, "spec", "hostnames")):
                continue
            for rule in dig(route, "spec", "rules") or ():
                for match in rule.get("matches") or [{"path": {"type": "PathPrefix", "value": "/"}}]:
                    value, kind = str(dig(match, "path", "value") or "/"), dig(match, "path", "type")
                    hits = (
                        path == value
                        if kind == "Exact"
                        else path == value or path.startswith(value.rstrip("/") + "/") or value == "/"
                    )
                    if hits and (best is None or len(value) > best[0]):
                        best = (len(value), rule, route["metadata"]["namespace"])
        if best is None:
            return 404, ""
        backend = (best[1].get("backendRefs") or [{}])[0]
        if not self._services.pods(str(backend.get("namespace") or best[2]), str(backend.get("name"))):
            return 503, "no healthy upstream"
        return 200, "ok"


def _ports(pod: Obj) -> Iterator[Obj]:
    """Yield the ports of a pod's own containers."""
    for each in dig(pod, "spec", "containers") or ():
        if each.get("name") != "istio-proxy":
            yield from each.get("ports") or ()


def _must_have_begun(pod: Obj, container: str) -> None:
    """Raise what a kubelet says of a container that never ran (pkg/kubelet/kubelet_pods.go, validateContainerLogStatus)."""
    for each in dig(pod, "status", "containerStatuses") or ():
        reason = dig(each, "state", "waiting", "reason")
        if each["name"] == container and reason and not dig(each, "lastState", "terminated"):
            words = {"ImagePullBackOff": "trying and failing to pull image", "ErrImagePull": "image can't be pulled"}
            why = words.get(reason, reason)
            raise Refusal(400, f'container "{container}" in pod "{pod["metadata"]["name"]}" is waiting to start: {why}')


def _histogram(put: Callable[[str, str, float], None], name: str, label: str, count: Count) -> None:
    """Write one histogram of request times."""
    total = 0.0
    for bound, value in zip((*BOUNDS, None), count.buckets, strict=True):
        total += value
        put(f"{name}_bucket", f'{label},le="{"+Inf" if bound is None else bound}"', total)
    put(f"{name}_sum", label, count.sum_ms)
    put(f"{name}_count", label, total)


def _is_for(host: str, names: Any) -> bool:
    """Tell whether host names of a route cover a host; none are all, and "*" begins a suffix."""
    return not names or any(host == each or (each.startswith("*") and host.endswith(each[1:])) for each in names)
