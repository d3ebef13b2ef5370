"""What looks like a secret does not stay in a line that is kept."""

from __future__ import annotations

import pytest

from meshup.model.masked import MASK, masked

SECRETS = {
    "password=hunter2 user=ana": "hunter2",
    'the "db_password": "hunter2 and more" is wrong': "hunter2 and more",
    "GET /v1?access_token=s3cr3tvalue&x=1 HTTP/1.1": "s3cr3tvalue",
    "Authorization: Bearer abcdef123456": "abcdef123456",
    "authorization=Basic dXNlcjpwYXNz": "dXNlcjpwYXNz",
    "dial postgres://app:pa55word@db.shop:5432/x": "pa55word",
    "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl refused": "eyJzdWIiOiJhIn0",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END": "MIIEpAIBAAKCAQEA",
    "aws AKIAIOSFODNN7EXAMPLE was used": "AKIAIOSFODNN7EXAMPLE",
    "API_KEY: 'a b c'": "a b c",
    "cookie: sid=0123456789": "0123456789",
    "blob Zm9vYmFyMTIzNDU2Nzg5MEFCQ0RFRkdISUpLTE1OT1BRUg end": "Zm9vYmFyMTIzNDU2Nzg5MEFCQ0RFRkdISUpLTE1OT1BRUg",
}
PLAIN = (
    "Back-off pulling image registry.example/app:broken",
    "Readiness probe failed: HTTP probe failed with statuscode: 503",
    '[2026-11-02T09:02:37.000Z] "GET / HTTP/1.1" 503 UF 76cff0ea-5789-450c-ae70-295815786cd4',
    "pulled sha256:2f7ac05e4b4a5e1a9e1a8f7d1c5b3a90f0b7c1f2d3e4a5b6c7d8e9f0a1b2c3d4",
    "token bucket is empty",
)


@pytest.mark.parametrize("line", SECRETS)
def test_a_value_that_looks_secret_is_taken_out(line: str) -> None:
    found = masked(line)
    assert SECRETS[line] not in found
    assert MASK in found


@pytest.mark.parametrize("line", PLAIN)
def test_a_line_without_one_stays_as_it_is(line: str) -> None:
    assert masked(line) == line
