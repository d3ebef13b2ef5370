"""Short ways to ask a server in tests."""

from __future__ import annotations

import gzip
import http.client
import json

from meshup.model.transport import Request
from meshup.simulate.api.server import ApiServer
from meshup.simulate.clock import VirtualClock

CM = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def server() -> ApiServer:
    return ApiServer(VirtualClock())


def ask(where, method, path, body=None, *, content="application/json", stream=False, headers=None, **query):
    return where.send(
        Request(
            method=method,
            path=path,
            query=tuple((key, str(value)) for key, value in query.items()),
            headers={"accept": "application/json", "content-type": content, "user-agent": "test", **(headers or {})},
            body=b"" if body is None else json.dumps(body).encode(),
            stream=stream,
        )
    )


def read(response):
    return json.loads(response.body)


def config(name="a", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"k": "v"}}


def pod(name="a", **spec):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "a"}},
        "spec": {"containers": [{"name": "c", "image": "x:1"}], **spec},
    }


def events(lines, count):
    found = []
    for line in lines:
        found.append(json.loads(line))
        if len(found) == count:
            break
    lines.close()
    return found


def call(front, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", int(front.url.rpartition(":")[2]), timeout=10)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"content-type": "application/json", **headers})
        response = connection.getresponse()
        raw = response.read()
        return response, gzip.decompress(raw) if response.getheader("content-encoding") == "gzip" else raw
    finally:
        connection.close()
