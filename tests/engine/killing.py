"""A process that dies at a chosen mutating request, as an exception that nothing of ours catches."""

from __future__ import annotations

from meshup.model.transport import Request, TransportFailure


class Killed(BaseException):
    """The process is gone."""


class Killer:
    """A transport that counts writes and kills at one of them. when: before it is sent, or after it took effect."""

    def __init__(self, inner, *, at=0, when="before"):
        self._inner, self.at, self.when = inner, at, when
        self.writes: list[Request] = []

    def send(self, request):
        if not _writes(request):
            return self._inner.send(request)
        self.writes.append(request)
        number = len(self.writes)
        if self.at and number > self.at:
            raise Killed
        if number == self.at and self.when == "before":
            raise Killed
        answer = self._inner.send(request)
        if number == self.at:
            raise Killed
        return answer


def _writes(request):
    if request.method == "GET" or ("dryRun", "All") in request.query:
        return False
    return not request.path.endswith(("selfsubjectreviews", "selfsubjectaccessreviews"))


class Loser:
    """A transport that loses the answer to one write: before the server took it, or after it took effect."""

    def __init__(self, inner, *, at=0, when="before"):
        self._inner, self.at, self.when = inner, at, when
        self.writes: list[Request] = []

    def send(self, request):
        if not _writes(request):
            return self._inner.send(request)
        self.writes.append(request)
        here = len(self.writes) == self.at
        if here and self.when == "before":
            raise TransportFailure("timeout", "lost", maybe_done=True)
        answer = self._inner.send(request)
        if here:
            raise TransportFailure("reset", "lost", maybe_done=True)
        return answer
