"""The smallest API server that a lock and a journal need, at the transport seam, with faults around each mutation."""

from __future__ import annotations

import base64
import copy
import json
import re
from datetime import UTC, datetime
from urllib.parse import unquote

from meshup.cluster.connect import over
from meshup.cluster.retry import Rules
from meshup.model.transport import Request, Response, TransportFailure


class Killed(BaseException):
    """The process ended here."""


class Clock:
    """Time that only sleeping, or the test, moves."""

    def __init__(self, at=1000.0):
        self.at = at

    def now(self):
        return datetime.fromtimestamp(1_800_000_000 + self.at, UTC)

    def elapsed(self):
        return self.at

    def sleep(self, seconds):
        self.at += seconds


class Server:
    """Objects by path. faults: mutation ordinal (from 0) -> lost-before, lost-after, killed-before, killed-after."""

    def __init__(self):
        self.objects = {
            "/api/v1/namespaces/meshup-system": {
                "metadata": {"name": "meshup-system", "uid": "0", "resourceVersion": "1"}
            }
        }
        self.faults = {}
        self.mutations = 0
        self.version = 1
        self.log = []
        self.before_mutation = None
        self.forbidden = "nothing is"

    def send(self, request: Request) -> Response:
        if request.method == "GET":
            return self._read(request)
        if self.before_mutation is not None:
            self.before_mutation(request)
        fault = self.faults.get(self.mutations, "")
        self.mutations += 1
        if fault == "lost-before":
            raise TransportFailure("timeout", "lost", maybe_done=True)
        if fault == "killed-before":
            raise Killed
        answer = self._write(request)
        if fault == "lost-after":
            raise TransportFailure("reset", "lost", maybe_done=True)
        if fault == "killed-after":
            raise Killed
        return answer

    def _read(self, request):
        query = dict(request.query)
        if request.path in self.objects:
            return _answer(200, self.objects[request.path])
        root, _, plural = request.path.rpartition("/")
        everywhere = re.compile(rf"{re.escape(root)}/(namespaces/[^/]+/)?{plural}/[^/]+")
        found = [each for path, each in sorted(self.objects.items()) if everywhere.fullmatch(path)]
        if "limit" not in query:
            return _failure(404, "NotFound")
        for rule in filter(None, query.get("labelSelector", "").split(",")):
            key, _, value = rule.partition("=")
            found = [each for each in found if key in each["metadata"].get("labels", {})]
            found = [each for each in found if not value or each["metadata"]["labels"][key] == value]
        return _answer(200, {"metadata": {"resourceVersion": str(self.version)}, "items": found})

    def _write(self, request):
        body = json.loads(request.body)
        path = unquote(request.path).removesuffix("/status")
        if request.method == "POST":
            path += "/" + body["metadata"]["name"]
            if path in self.objects:
                return _failure(409, "AlreadyExists")
            if self.forbidden in path:
                return _failure(403, "Forbidden")
            body["metadata"]["uid"] = f"u{self.version}"
            body.pop("status", None)
            if body.get("kind") == "CustomResourceDefinition":
                body["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
        elif path not in self.objects:
            return _failure(404, "NotFound")
        elif request.method == "PUT":
            if body["metadata"]["resourceVersion"] != self.objects[path]["metadata"]["resourceVersion"]:
                return _failure(409, "Conflict")
        elif request.method == "PATCH":
            assert request.headers["content-type"] == "application/merge-patch+json"
            old = self.objects[path]
            if (
                body.get("metadata", {}).get("resourceVersion", old["metadata"]["resourceVersion"])
                != old["metadata"]["resourceVersion"]
            ):
                return _failure(409, "Conflict")
            body = {**copy.deepcopy(old), "status": {**old.get("status", {}), **body["status"]}}
        else:
            raise AssertionError(request.method)
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.objects[path] = copy.deepcopy(body)
        self.log.append((path, body))
        return _answer(200, body)


def _answer(code, body):
    return Response(status=code, body=json.dumps(body).encode())


def _failure(code, reason):
    return _answer(code, {"kind": "Status", "reason": reason, "message": reason, "code": code})


def door(server, clock=None):
    return over(server, clock or Clock(), rules=Rules(tries=3, away_s=60), in_flight=1)


def decoded(found, key):
    return base64.b64decode(found["binaryData"][key])
