"""Checks of the ports of the services that will be enrolled: what would be sniffed, and what would hang."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meshup.gates.preflight.facts import Facts, Found
from meshup.model.objects import Object, containers, dig, template
from meshup.model.runbook import Service

SPEAKS_FIRST = frozenset({21, 22, 25, 110, 143, 587, 3306, 4444, 27017})
"""Ports of FTP, SSH, SMTP, POP3, IMAP, submission, MySQL, Galera and MongoDB, in which a client waits for the server."""

IMAGES = re.compile(r"(?:^|/)[^/:@]*(?:mysql|mariadb|percona|galera|postfix|exim|smtp|vsftpd|proftpd)[^/:@]*(?:[:@]|$)")


def _undeclared(facts: Facts) -> Iterator[tuple[Service, Object, Object, Object]]:
    """Yield (service, workload, Kubernetes Service, port) of TCP ports that neither declare nor are assumed to be TCP."""
    for service, workload in facts.services():
        for each in facts.kube_services(workload):
            for port in dig(each, "spec", "ports") or ():
                tcp = port.get("protocol", "TCP") == "TCP"
                if tcp and not facts.driver.declares(port) and port.get("port") not in facts.driver.assumed_tcp:
                    yield service, workload, each, port


def _hangs(workload: Object, port: Object) -> bool:
    """Tell whether the server speaks first on a port: by its number, the container's, or the only container's image."""
    several = list(containers(dig(template(workload), "spec") or {}))
    target = port.get("targetPort", port.get("port"))
    named = [
        one.get("containerPort") for each in several for one in each.get("ports") or () if one.get("name") == target
    ]
    numbers = {port.get("port"), *([target] if isinstance(target, int) else named)}
    if numbers & SPEAKS_FIRST:
        return True
    return len(several) == 1 and IMAGES.search(str(several[0].get("image") or "")) is not None


def _where(service: Service, each: Object, port: Object) -> str:
    return f"Service {service.namespace}/{dig(each, 'metadata', 'name')} port {port.get('port')}"


def server_first(facts: Facts) -> Iterator[Found]:
    """Find undeclared ports on which the server speaks first: the proxy waits for a client that waits for the server."""
    for service, workload, each, port in _undeclared(facts):
        if _hangs(workload, port):
            why = "a protocol in which the server speaks first would be sniffed and hang; declare it"
            yield Found(object=_where(service, each, port), because=why, service=service.id)


def guessed(facts: Facts) -> Iterator[Found]:
    """Find other ports whose protocol would be guessed."""
    for service, workload, each, port in _undeclared(facts):
        if not _hangs(workload, port):
            why = "its protocol is guessed from the first bytes; name it http, grpc or tcp"
            yield Found(object=_where(service, each, port), because=why, service=service.id)
