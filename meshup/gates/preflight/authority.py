"""The certificates that a mesh's proxies trust, and those its next control plane would sign by; never a private key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from meshup.cluster.errors import Forbidden
from meshup.gates.gate import Eyes
from meshup.model.objects import Object, dig

BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate of an authority. digest: SHA-256 of its whole, in hex. is_root: it is signed by itself."""

    name: str
    ends: datetime
    digest: str
    is_root: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What was read of a mesh's certificates.

    trusted: texts of the roots that proxies trust now, PEM. signer: "Secret namespace/name" that a control plane signs by,
    "" = none was read; signing: its certificates, PEM. unread: why the roots could not be read, "" = they were, or are not
    there. unsigned: why no Secret was read, "" = one was, or none is there.
    """

    trusted: str = ""
    signer: str = ""
    signing: str = ""
    unread: str = ""
    unsigned: str = ""


def read(eyes: Eyes) -> Authority:
    """Read the roots in their ConfigMap, and of the Secret the entries of certificates, where this identity may.

    A Secret is asked for only once the server said that it may be, and what is private in it is let go at once.
    """
    where = eyes.driver.trust(eyes.book.mesh)
    try:
        bundle, unread = eyes.cluster.find(where.bundle), ""
    except Forbidden as refused:
        bundle, unread = None, refused.what
    trusted = str(dig(bundle, "data", where.entry) or "")
    for each in where.signers:
        if not eyes.cluster.can_i("get", "secrets", namespace=each.namespace, name=each.name):
            return Authority(trusted=trusted, unread=unread, unsigned=f"{each} may not be read")
        found = eyes.cluster.find(each)
        if found is not None:
            signing = "\n".join(_texts(found, where.entries))
            return Authority(trusted=trusted, signer=str(each), signing=signing, unread=unread)
    return Authority(trusted=trusted, unread=unread)


def _texts(secret: Object, entries: Iterable[str]) -> Iterator[str]:
    """Yield the certificates of the entries that are named; only whole blocks of certificates leave this function."""
    for entry in entries:
        raw = dig(secret, "data", entry)
        if raw:
            try:
                text = base64.b64decode(str(raw), validate=True).decode("ascii", "replace")
            except (binascii.Error, ValueError):
                continue
            yield from BLOCK.findall(text)


def certificates(text: str) -> tuple[Certificate, ...]:
    """Give the certificates of authorities in a PEM text, each once, in order. Raises ValueError for what is none."""
    found: dict[str, Certificate] = {}
    for block in BLOCK.findall(text):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=block)
        except ssl.SSLError as odd:
            raise ValueError("a certificate of the mesh is none") from odd
        for told, whole in zip(context.get_ca_certs(), context.get_ca_certs(binary_form=True), strict=True):
            subject = told.get("subject") or ()
            digest = hashlib.sha256(whole).hexdigest()
            found[digest] = Certificate(
                name=_named(subject),
                ends=datetime.fromtimestamp(ssl.cert_time_to_seconds(str(told["notAfter"])), tz=UTC),
                digest=digest,
                is_root=subject == told.get("issuer"),
            )
    if not found:
        raise ValueError("there is no certificate of an authority")
    return tuple(found.values())


def _named(subject: object) -> str:
    """Give the organisation or the common name of a subject, as the ssl module tells it."""
    parts = dict(pair for group in subject for pair in group) if isinstance(subject, tuple) else {}
    return str(parts.get("commonName") or parts.get("organizationName") or "without a name")
