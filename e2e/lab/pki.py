"""Certificates and kubeconfigs, made with the openssl program."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import run

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
DAYS = 3650
FIX = "install the package openssl, version 3"

OUTDATED = """\
[ca]
default_ca = lab
[lab]
database = {index}
new_certs_dir = {scratch}
rand_serial = yes
default_md = sha256
policy = names
x509_extensions = client
[names]
commonName = supplied
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
"""


class Authority:
    """A certificate authority in a folder of a lab's folder. NAME.crt and NAME.key are its own files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.cert, self.key = folder / f"{name}.crt", folder / f"{name}.key"

    def create(self) -> None:
        """Make its own key and certificate."""
        self.folder.mkdir(parents=True, exist_ok=True)
        usage = "keyUsage = critical, keyCertSign, cRLSign, digitalSignature"
        extensions = ("basicConstraints = critical, CA:TRUE", usage)
        _certificate(f"/CN=meshup-lab-{self.name}", extensions, cert=self.cert, key=self.key)

    def issue(
        self, name: str, user: str, groups: Sequence[str] = (), *, hosts: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """Make a certificate for `user` and give the files of certificate and key.

        It is good for a client and, when `hosts` are given, for a server.
        """
        cert, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        extensions = [
            "basicConstraints = critical, CA:FALSE",
            "keyUsage = critical, digitalSignature",
            f"extendedKeyUsage = clientAuth{', serverAuth' if hosts else ''}",
        ]
        if hosts:
            names = [f"{'IP' if host[-1].isdigit() else 'DNS'}:{host}" for host in hosts]
            extensions.append(f"subjectAltName = {', '.join(names)}")
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        signer = ("-CA", str(self.cert), "-CAkey", str(self.key))
        _certificate(subject, extensions, cert=cert, key=key, signer=signer)
        return cert, key

    def issue_outdated(self, name: str, user: str) -> tuple[Path, Path]:
        """Make a certificate for `user` that was good for one day, long ago, and give the files of it and its key."""
        cert, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        with tempfile.TemporaryDirectory() as scratch:
            wish, settings, index = (Path(scratch) / each for each in ("wish.csr", "ca.cnf", "index"))
            index.touch()
            settings.write_text(OUTDATED.format(index=index, scratch=scratch), "utf-8")
            run("openssl", "req", "-new", *KEY, "-subj", f"/CN={user}", "-keyout", key, "-out", wish, fix=FIX)
            signer = ("-batch", "-notext", "-config", settings, "-cert", self.cert, "-keyfile", self.key)
            dates = ("-startdate", "20200101000000Z", "-enddate", "20200102000000Z")
            run("openssl", "ca", *signer, *dates, "-in", wish, "-out", cert, fix=FIX)
        return cert, key


def _certificate(subject: str, extensions: Sequence[str], *, cert: Path, key: Path, signer: Sequence[str] = ()) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".cnf", encoding="utf-8") as settings:
        settings.write("[req]\ndistinguished_name = subject\nx509_extensions = extensions\n[subject]\n[extensions]\n")
        settings.write("\n".join(extensions) + "\n")
        settings.flush()
        what = ("req", "-x509", "-config", settings.name, *KEY, *signer, "-days", str(DAYS), "-subj", subject)
        run("openssl", *what, "-keyout", key, "-out", cert, owner=cert.parents[1], fix=FIX)
    key.chmod(0o600)


def signing_key(private: Path, public: Path) -> None:
    """Make the key pair that signs service account tokens."""
    run("openssl", "genrsa", "-out", private, "2048", owner=private.parents[1], fix=FIX)
    run("openssl", "rsa", "-in", private, "-pubout", "-out", public, owner=private.parents[1], fix=FIX)


def inline(file: Path) -> str:
    """Give a file's bytes as a kubeconfig's -data fields hold them."""
    return base64.b64encode(file.read_bytes()).decode()


def write_kubeconfig(path: Path, server: str, authority: Authority, user: str, identity: Mapping[str, Any]) -> Path:
    """Write a kubeconfig of one context, readable by its owner alone, as JSON, which is YAML too.

    identity: the user's part, such as client-certificate-data and client-key-data, or token, or exec.
    """
    cluster = {"server": server, "certificate-authority-data": inline(authority.cert)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "meshup-lab", "cluster": cluster}],
        "users": [{"name": user, "user": dict(identity)}],
        "contexts": [{"name": "meshup-lab", "context": {"cluster": "meshup-lab", "user": user}}],
        "current-context": "meshup-lab",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return path


def certificate_identity(cert: Path, key: Path) -> dict[str, str]:
    """Give the user's part of a kubeconfig for a certificate, with everything inside it."""
    return {"client-certificate-data": inline(cert), "client-key-data": inline(key)}
