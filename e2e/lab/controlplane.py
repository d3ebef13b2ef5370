"""etcd, the API server and the controllers, on loopback with free ports or inside the node's network namespace."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from . import config, pki
from .config import Home
from .errors import LabError
from .processes import Process, Roster

PLACE = "plane.json"
"""In a lab's folder: how its control plane was started."""
SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{config.CLUSTER_DOMAIN}",
)

MUTATING_POLICIES = {
    "feature_gates": "MutatingAdmissionPolicy=true",
    "runtime_config": "admissionregistration.k8s.io/v1beta1=true",
}
"""Flags of an API server of 1.34, which serves mutating admission policies as v1beta1 when asked to."""


class ControlPlane:
    """The programs of a control plane and the authority that its certificates come from."""

    def __init__(
        self,
        home: Home,
        roster: Roster,
        netns: str | None = None,
        *,
        ports: Sequence[int] = (6443, 2379, 2380),
        mutating_policies: bool = False,
    ) -> None:
        self.home, self.roster, self.netns = home, roster, netns
        self.mutating_policies = mutating_policies
        self.host = config.NODE_IP if netns else "127.0.0.1"
        self.api_port, self.etcd_port, self.peer_port = ports
        self.server = f"https://{self.host}:{self.api_port}"
        self.ca = pki.Authority(home.pki, "ca")
        self.front_ca = pki.Authority(home.pki, "front-proxy-ca")

    @classmethod
    def running(cls, home: Home, roster: Roster) -> ControlPlane:
        """Give the control plane that runs in a lab's folder. Raises LabError when none does."""
        try:
            kept = json.loads((home.state / PLACE).read_text("utf-8"))
        except OSError as missing:
            raise LabError(
                "the lab is not up", why=f"there is no {home.state / PLACE}", fix="`up` starts it"
            ) from missing
        return cls(home, roster, kept["netns"], ports=kept["ports"])

    def issue_certificates(self) -> None:
        """Make every certificate of the cluster's own programs, and the administrator's kubeconfig."""
        self.ca.create()
        self.front_ca.create()
        pki.signing_key(self.home.pki / "service-account.key", self.home.pki / "service-account.pub")
        hosts = (*SERVICE_NAMES, "localhost", "127.0.0.1", config.KUBERNETES_SERVICE_IP, config.NODE_IP)
        self.ca.issue("apiserver", "kube-apiserver", hosts=hosts)
        self.ca.issue("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
        self.front_ca.issue("front-proxy-client", "front-proxy-client")
        self.kubeconfig("admin", ("system:masters",), self.home.kubeconfig)
        self.home.address.write_text(self.server, "utf-8")
        place = {"netns": self.netns, "ports": [self.api_port, self.etcd_port, self.peer_port]}
        (self.home.state / PLACE).write_text(json.dumps(place), "utf-8")

    def kubeconfig(self, user: str, groups: Sequence[str] = (), path: Path | None = None) -> Path:
        """Write a kubeconfig whose client certificate says `user` and `groups`."""
        name = user.replace(":", "-")
        identity = pki.certificate_identity(*self.ca.issue(name, user, groups))
        at = path or self.home.users / f"{name}.kubeconfig"
        return pki.write_kubeconfig(at, self.server, self.ca, user, identity)

    def start(self) -> None:
        """Start all of it and wait until the API server is ready."""
        etcd = self._etcd()
        # An API server that is there first waits long before it tries again.
        self.roster.wait("etcd listens", lambda: etcd.listens(self.etcd_port))
        self._api_server()
        self.wait_ready()
        self._controller_manager()

    def wait_ready(self) -> None:
        """Wait until the API server is ready. Raises LabError when that takes too long."""
        self.roster.wait("the API server is ready", self._ready)

    def start_scheduler(self) -> None:
        """Start the scheduler."""
        kubeconfig = self.kubeconfig("system:kube-scheduler")
        flags = {"kubeconfig": kubeconfig, "leader_elect": "false", "secure_port": 0}
        self._start("kube-scheduler", config.kube("kube-scheduler"), **flags)

    def _start(self, name: str, program: Path, **flags: object) -> Process:
        return self.roster.start(
            name, [program, *(f"--{flag.replace('_', '-')}={value}" for flag, value in flags.items())], self.netns
        )

    def _etcd(self) -> Process:
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.etcd_port, self.peer_port))
        return self._start(
            "etcd",
            config.binary("etcd", config.ETCD),
            data_dir=self.home.state / "etcd",
            listen_client_urls=client,
            advertise_client_urls=client,
            listen_peer_urls=peer,
            initial_advertise_peer_urls=peer,
            initial_cluster=f"default={peer}",
            unsafe_no_fsync="true",
            log_level="warn",
        )

    def _api_server(self) -> None:
        keys = self.home.pki
        self._start(
            "kube-apiserver",
            config.kube("kube-apiserver"),
            etcd_servers=f"http://127.0.0.1:{self.etcd_port}",
            bind_address="0.0.0.0" if self.netns else self.host,
            advertise_address=config.NODE_IP,
            endpoint_reconciler_type="lease" if self.netns else "none",
            secure_port=self.api_port,
            service_cluster_ip_range=config.SERVICE_CIDR,
            tls_cert_file=keys / "apiserver.crt",
            tls_private_key_file=keys / "apiserver.key",
            client_ca_file=self.ca.cert,
            authorization_mode="Node,RBAC",
            enable_admission_plugins="NodeRestriction",
            service_account_issuer=f"https://kubernetes.default.svc.{config.CLUSTER_DOMAIN}",
            service_account_key_file=keys / "service-account.pub",
            service_account_signing_key_file=keys / "service-account.key",
            kubelet_client_certificate=keys / "apiserver-kubelet-client.crt",
            kubelet_client_key=keys / "apiserver-kubelet-client.key",
            kubelet_certificate_authority=self.ca.cert,
            kubelet_preferred_address_types="InternalIP",
            requestheader_client_ca_file=self.front_ca.cert,
            requestheader_allowed_names="front-proxy-client",
            requestheader_username_headers="X-Remote-User",
            requestheader_group_headers="X-Remote-Group",
            requestheader_extra_headers_prefix="X-Remote-Extra-",
            proxy_client_cert_file=keys / "front-proxy-client.crt",
            proxy_client_key_file=keys / "front-proxy-client.key",
            audit_policy_file=config.MANIFESTS / "audit-policy.yaml",
            audit_log_path=self.home.audit_log,
            allow_privileged="true",
            **(MUTATING_POLICIES if self.mutating_policies else {}),
        )

    def _controller_manager(self) -> None:
        self._start(
            "kube-controller-manager",
            config.kube("kube-controller-manager"),
            kubeconfig=self.kubeconfig("system:kube-controller-manager"),
            leader_elect="false",
            secure_port=0,
            kube_api_qps=1000,  # the default makes the start alone take five seconds
            kube_api_burst=1000,
            use_service_account_credentials="true",
            service_account_private_key_file=self.home.pki / "service-account.key",
            root_ca_file=self.ca.cert,
            cluster_signing_cert_file=self.ca.cert,
            cluster_signing_key_file=self.ca.key,
            allocate_node_cidrs="false",
        )

    def _ready(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.ca.cert))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(f"{self.server}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def free_ports(count: int) -> list[int]:
    """Give ports of loopback that nothing listens on."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
