"""Existing Ingress objects read as hosts and paths; what has no faithful equivalent is listed, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshup.meshes.driver import Translated
from meshup.model.objects import Object, annotated, dig
from meshup.model.runbook import Host, Path

HARMLESS = frozenset(
    {
        "kubernetes.io/ingress.class",
        "kubectl.kubernetes.io/last-applied-configuration",
        "meta.helm.sh/release-name",
        "meta.helm.sh/release-namespace",
    }
)


def read(ingresses: Sequence[Object]) -> Translated:
    """Read Ingress objects. Ports given by name are listed as dropped: a route needs the number."""
    paths: dict[str, list[Path]] = {}
    secrets: dict[str, str] = {}
    dropped: list[str] = []
    for each in ingresses:
        name = f"Ingress {dig(each, 'metadata', 'namespace')}/{dig(each, 'metadata', 'name')}"
        namespace = str(dig(each, "metadata", "namespace") or "")
        dropped += [
            f"{name}: annotation {key}={value[:60]} has no faithful equivalent"
            for key, value in sorted(annotated(each).items())
            if key not in HARMLESS and not key.startswith("meshup.dev/")
        ]
        for tls in dig(each, "spec", "tls") or ():
            for host in tls.get("hosts") or ():
                if tls.get("secretName"):
                    secrets[host] = str(tls["secretName"])
                    dropped.append(
                        f"{name}: TLS Secret {namespace}/{tls['secretName']} must be copied to the gateway's namespace"
                    )
        if dig(each, "spec", "defaultBackend"):
            dropped.append(f"{name}: spec.defaultBackend answers hosts that are not listed; write a host for it")
        for rule in dig(each, "spec", "rules") or ():
            host = str(rule.get("host") or "*")
            for path in dig(rule, "http", "paths") or ():
                made = _path(path, namespace)
                if made is None:
                    dropped.append(
                        f"{name}: path {path.get('path', '/')} of {host} has a backend that is no Service port number"
                    )
                else:
                    paths.setdefault(host, []).append(made)
                    if path.get("pathType") == "ImplementationSpecific":
                        dropped.append(
                            f"{name}: path {made.path} of {host} is ImplementationSpecific; taken as a prefix"
                        )
    hosts = tuple(
        Host(
            host=host,
            paths=tuple(sorted(several, key=lambda each: (-len(each.path), each.path))),
            tls_secret=secrets.get(host, ""),
        )
        for host, several in paths.items()
    )
    return Translated(hosts=hosts, dropped=tuple(dropped))


def _path(path: dict[str, Any], namespace: str) -> Path | None:
    service = dig(path, "backend", "service") or {}
    number = dig(service, "port", "number")
    if not service.get("name") or number is None:
        return None
    return Path(
        path=str(path.get("path") or "/"),
        service=str(service["name"]),
        namespace=namespace,
        port=int(number),
        kind="Exact" if path.get("pathType") == "Exact" else "Prefix",
    )
