"""Pod Security: the baseline and restricted profiles, in the words of the real admission plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from meshup.simulate.api.store import Obj

LABEL = "pod-security.kubernetes.io/enforce"
BASELINE_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)

LEVELS = ("privileged", "baseline", "restricted")


def violations(spec: Obj, level: str) -> list[str]:
    """Give what a pod spec does that a level forbids, worded as the server does; empty when it may run."""
    if level not in ("baseline", "restricted"):
        return []
    found = sorted(_baseline(spec), key=_rank)
    if level == "restricted":
        found = [each for each in found if not each.startswith("non-default capabilities")]
        found += list(_restricted(spec))
    return found


BASELINE_ORDER = ("non-default", "host namespaces", "hostPath", "hostPort", "privileged")


def _rank(text: str) -> int:
    return next((number for number, each in enumerate(BASELINE_ORDER) if text.startswith(each)), len(BASELINE_ORDER))


def _containers(spec: Obj) -> list[Obj]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _named(several: list[Obj]) -> str:
    names = ", ".join(f'"{each["name"]}"' for each in several)
    return f"container {names}" if len(several) == 1 else f"containers {names}"


def _context(container: Obj, name: str) -> Any:
    return (container.get("securityContext") or {}).get(name)


def _baseline(spec: Obj) -> Iterator[str]:
    for field, text in (("hostNetwork", "hostNetwork=true"), ("hostPID", "hostPID=true"), ("hostIPC", "hostIPC=true")):
        if spec.get(field):
            yield f"host namespaces ({text})"
    privileged = [each for each in _containers(spec) if _context(each, "privileged")]
    if privileged:
        yield f"privileged ({_named(privileged)} must not set securityContext.privileged=true)"
    bad: dict[str, list[str]] = {}
    for each in _containers(spec):
        extra = [
            cap for cap in (_context(each, "capabilities") or {}).get("add") or () if cap not in BASELINE_CAPABILITIES
        ]
        if extra:
            bad[each["name"]] = extra
    if bad:
        holders = [each for each in _containers(spec) if each["name"] in bad]
        caps = ", ".join(f'"{cap}"' for cap in sorted({cap for several in bad.values() for cap in several}))
        yield f"non-default capabilities ({_named(holders)} must not include {caps} in securityContext.capabilities.add)"
    paths = [each for each in spec.get("volumes") or () if "hostPath" in each]
    if paths:
        names = ", ".join(f'"{each["name"]}"' for each in paths)
        yield f"hostPath volumes (volume{'s' if len(paths) > 1 else ''} {names})"
    ports = [each for each in _containers(spec) if any(port.get("hostPort") for port in each.get("ports") or ())]
    if ports:
        numbers = sorted({port["hostPort"] for each in ports for port in each["ports"] if port.get("hostPort")})
        verb = "uses" if len(ports) == 1 else "use"
        noun = "hostPort" if len(numbers) == 1 else "hostPorts"
        yield f"hostPort ({_named(ports)} {verb} {noun} {', '.join(map(str, numbers))})"


def _restricted(spec: Obj) -> Iterator[str]:
    def missing(wrong: Callable[[Obj], bool]) -> list[Obj]:
        return [each for each in _containers(spec) if wrong(each)]

    several = missing(lambda each: _context(each, "allowPrivilegeEscalation") is not False)
    if several:
        yield f"allowPrivilegeEscalation != false ({_named(several)} must set securityContext.allowPrivilegeEscalation=false)"
    several = missing(lambda each: "ALL" not in ((_context(each, "capabilities") or {}).get("drop") or ()))
    texts = [f'{_named(several)} must set securityContext.capabilities.drop=["ALL"]'] if several else []
    adding = missing(
        lambda each: any(cap != "NET_BIND_SERVICE" for cap in (_context(each, "capabilities") or {}).get("add") or ())
    )
    if adding:
        caps = sorted(
            {
                cap
                for each in adding
                for cap in (_context(each, "capabilities") or {}).get("add") or ()
                if cap != "NET_BIND_SERVICE"
            }
        )
        texts.append(
            f"{_named(adding)} must not include {', '.join(f'{chr(34)}{cap}{chr(34)}' for cap in caps)} "
            "in securityContext.capabilities.add"
        )
    if texts:
        yield f"unrestricted capabilities ({'; '.join(texts)})"
    pod = spec.get("securityContext") or {}
    several = missing(lambda each: _context(each, "runAsNonRoot") is not True and pod.get("runAsNonRoot") is not True)
    if several:
        yield f"runAsNonRoot != true (pod or {_named(several)} must set securityContext.runAsNonRoot=true)"
    roots = missing(lambda each: _context(each, "runAsUser") == 0)
    if roots:
        yield f"runAsUser=0 ({_named(roots)} must not set runAsUser=0)"
    fine = ("RuntimeDefault", "Localhost")
    several = missing(
        lambda each: ((_context(each, "seccompProfile") or pod.get("seccompProfile") or {}).get("type")) not in fine
    )
    if several:
        profile = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        yield f"seccompProfile (pod or {_named(several)} must set {profile})"


def refusal(spec: Obj, namespace: Obj) -> str:
    """Give the message a pod is refused with; "" when it may run."""
    labels = namespace["metadata"].get("labels") or {}
    level = labels.get(LABEL, "privileged")
    version = labels.get(f"{LABEL}-version", "latest")
    found = violations(spec, level)
    return f'violates PodSecurity "{level}:{version}": {", ".join(found)}' if found else ""


def warnings(spec: Obj, namespace: Obj) -> list[str]:
    """Give what the author of a pod template is warned of."""
    labels = namespace["metadata"].get("labels") or {}
    level = labels.get("pod-security.kubernetes.io/warn", "privileged")
    version = labels.get("pod-security.kubernetes.io/warn-version", "latest")
    found = violations(spec, level) if level != "privileged" else []
    return [f'would violate PodSecurity "{level}:{version}": {", ".join(found)}'] if found else []
