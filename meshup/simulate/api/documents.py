"""Paths that are no resource: discovery, version, health, OpenAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshup.model.transport import Request, Response
from meshup.simulate.api import answers, discovery, openapi
from meshup.simulate.api.kinds import shape
from meshup.simulate.api.problems import Refusal, not_here

if TYPE_CHECKING:
    from meshup.simulate.api.server import ApiServer

HEALTH = ("/healthz", "/livez", "/readyz")
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def document(server: ApiServer, request: Request) -> Response:
    """Answer a GET of a document. Raises Refusal."""
    path = request.path.rstrip("/") or "/"
    registry = server.registry
    wants_all = "as=APIGroupDiscoveryList" in request.headers.get("accept", "").replace(" ", "")
    if request.method != "GET":
        raise Refusal(405, "the server does not allow this method on the requested resource", details={})
    if path.startswith(HEALTH):
        return answers.text(200, "ok")
    if path == "/version":
        return answers.plain(200, discovery.version())
    if path in ("/api", "/apis") and wants_all:
        names = [""] if path == "/api" else discovery.groups(registry)
        body = answers.packed(discovery.aggregated(registry, names))
        return Response(status=200, headers={"content-type": AGGREGATED}, body=body)
    if path == "/api":
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]
        return answers.plain(200, {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses})
    if path == "/apis":
        found = [discovery.group(registry, each) for each in discovery.groups(registry)]
        return answers.plain(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": found})
    steps = path.split("/")[1:]
    if steps[0] == "api" and len(steps) == 2:
        listed = discovery.resources(registry, "", steps[1])
        if listed is not None:
            return answers.plain(200, listed)
    if steps[0] == "apis" and len(steps) == 2 and steps[1] in discovery.groups(registry):
        return answers.plain(200, {"kind": "APIGroup", "apiVersion": "v1", **discovery.group(registry, steps[1])})
    if steps[0] == "apis" and len(steps) == 3:
        listed = discovery.resources(registry, steps[1], steps[2])
        if listed is not None:
            return answers.plain(200, listed)
        if f"/apis/{steps[1]}/{steps[2]}" in shape("discovery.json"):
            raise not_here(f"{steps[1]}/{steps[2]}")
    if path == "/openapi/v3":
        return answers.plain(200, openapi.index(registry))
    if path.startswith("/openapi/v3/"):
        made = openapi.document(registry, path.removeprefix("/openapi/v3/"))
        if made is not None:
            return answers.plain(200, made)
    if path == "/openapi/v2":
        raise not_here("OpenAPI v2")
    if path == "/":
        paths = ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]
        return answers.plain(200, {"paths": paths})
    if path == "/metrics":
        raise not_here("metrics of the API server")
    return answers.text(404, "404 page not found\n")
