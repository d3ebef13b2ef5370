"""Bodies in binary form, recorded from kubectl 1.37, are read whole; what is not known is refused, never dropped."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.protobuf import decoded

ACCESS = (
    "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a65637441636365737352657669657712470a100a0012"
    "001a0022002a0032003800420012290a270a0473686f7012066372656174651a046170707322002a0b6465706c6f796d656e747332003a001a080800120"
    "01a0020001a002200"
)
WHO = (
    "6b3873000a2d0a1861757468656e7469636174696f6e2e6b38732e696f2f7631121153656c665375626a656374526576696577121a0a100a0012001a0022002a"
    "0032003800420012060a040a0012001a002200"
)
CONFIG = "6b3873000a0f0a0276311209436f6e6669674d617012220a180a0873657474696e677312001a0022002a0032003800420012060a01611201311a002200"
DEPLOYMENT = (
    "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412c7010a230a0568656c6c6f12001a0022002a003200380042005a0c0a036170701205686"
    "56c6c6f1291010800120e0a0c0a03617070120568656c6c6f1a750a1e0a0012001a0022002a003200380042005a0c0a03617070120568656c6c6f125312350a"
    "0568656c6c6f120c73686f702f68656c6c6f3a312a00320a0a001000185022002a0042006a007200800100880100900100a201001a00320042004a005200580"
    "0600068008201008a01009a0100c2010022020a00280038001a0c0800100018002000280038001a002200"
)
NAMESPACE = (
    "6b3873000a0f0a02763112094e616d657370616365121e0a160a067472796f757412001a0022002a0032003800420012001a020a001a002200"
)

LABELS = {"app": "hello"}


@pytest.mark.parametrize(
    ("body", "obj"),
    [
        (
            ACCESS,
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {
                    "resourceAttributes": {
                        "namespace": "shop",
                        "verb": "create",
                        "group": "apps",
                        "resource": "deployments",
                    }
                },
            },
        ),
        (WHO, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}),
        (
            CONFIG,
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}},
        ),
        (NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tryout"}}),
        (
            DEPLOYMENT,
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "hello", "labels": LABELS},
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": LABELS},
                    "template": {
                        "metadata": {"labels": LABELS},
                        "spec": {
                            "containers": [{"name": "hello", "image": "shop/hello:1", "ports": [{"containerPort": 80}]}]
                        },
                    },
                },
            },
        ),
    ],
    ids=["access", "who", "config", "namespace", "deployment"],
)
def test_what_kubectl_sends_is_read(body: str, obj: dict) -> None:
    assert decoded(bytes.fromhex(body)) == obj


def test_a_kind_that_is_not_known_is_said() -> None:
    body = bytes.fromhex(NAMESPACE).replace(b"Namespace", b"Nameplate")
    with pytest.raises(Refusal) as refused:
        decoded(body)
    assert refused.value.code == 501


def test_a_field_that_is_not_known_is_refused_not_dropped() -> None:
    whole = b"k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x03\x4a\x01x"
    with pytest.raises(Refusal):
        decoded(whole)


@given(st.binary(max_size=60))
@example(b"\x08\x00")
def test_nonsense_is_refused(tail: bytes) -> None:
    for body in (tail, b"k8s\x00" + tail, bytes.fromhex(NAMESPACE)[:24] + tail):
        try:
            decoded(body)
        except Refusal as refused:
            assert refused.code in (400, 501)
