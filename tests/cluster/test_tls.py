"""Who is trusted and who is shown: a server with its own authority, names, client certificates."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from scripted import Clock

from meshup.cluster.access import Access, Credential
from meshup.cluster.connect import over
from meshup.cluster.credentials import Fixed
from meshup.cluster.errors import NotReached
from meshup.cluster.https import HttpsTransport
from meshup.model.problem import Exit, Unreachable

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates of this test")


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """An authority, a server certificate for kube.example and 127.0.0.1, a client's, and a stranger's authority."""
    folder = tmp_path_factory.mktemp("pki")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "stranger"):
        openssl(
            folder,
            "req",
            "-x509",
            *key,
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.crt",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
        )
    (folder / "server.ext").write_text("subjectAltName=DNS:kube.example,IP:127.0.0.1")
    (folder / "client.ext").write_text("extendedKeyUsage=clientAuth")
    for name in ("server", "client"):
        openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            folder,
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-out",
            f"{name}.crt",
            "-days",
            "2",
            "-extfile",
            f"{name}.ext",
        )
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {"folder": folder}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = dict(pair[0] for pair in (self.connection.getpeercert() or {}).get("subject", ()))
        body = json.dumps({"gitVersion": "v1.34.4", "who": name.get("commonName", "")}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


@pytest.fixture(scope="module")
def server(pki):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki["folder"] / "server.crt", pki["folder"] / "server.key")
    context.load_verify_locations(pki["folder"] / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    made = Quiet(("127.0.0.1", 0), Handler)
    made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


def asked(server, *, certificate=b"", key=b"", **access):
    transport = HttpsTransport(
        Access(server=server, login=Fixed(Credential(certificate=certificate, key=key)), **access)
    )
    clock = Clock()
    try:
        return over(transport, clock, server=server)._json("GET", "/version", doing="ask")["who"]
    finally:
        assert clock.slept == []
        transport.close()


def test_the_clusters_own_authority_is_trusted(server, pki):
    assert asked(server, ca=pki["ca.crt"]) == ""


def test_a_client_certificate_is_shown(server, pki):
    assert asked(server, ca=pki["ca.crt"], certificate=pki["client.crt"], key=pki["client.key"]) == "client"


@pytest.mark.parametrize("name", ["kube.example", "127.0.0.1"])
def test_the_server_name_can_be_another(server, pki, name):
    assert asked(server, ca=pki["ca.crt"], tls_server_name=name) == ""


@pytest.mark.parametrize("options", [{"ca": "stranger.crt"}, {}, {"ca": "ca.crt", "tls_server_name": "other.example"}])
def test_a_stranger_is_never_talked_to(server, pki, options):
    known = {**options, **({"ca": pki[options["ca"]]} if "ca" in options else {})}
    with pytest.raises(NotReached) as failed:
        asked(server, **known)
    assert failed.value.exit == Exit.UNREACHABLE
    assert "certificate" in failed.value.fix


def test_insecure_says_so_and_asks_nobody(server):
    assert asked(server, insecure=True) == ""


@pytest.mark.parametrize("harm", ["key", "certificate", "ca"])
def test_what_is_no_certificate_is_named_before_anything_is_sent(server, pki, harm):
    given = {"ca": pki["ca.crt"], "certificate": pki["client.crt"], "key": pki["client.key"]}
    with pytest.raises(Unreachable) as failed:
        asked(server, **{**given, harm: b"junk"})
    assert failed.value.code == "MU7004"
    with pytest.raises(Unreachable):
        asked(server, **{**given, "key": pki["server.key"]})
