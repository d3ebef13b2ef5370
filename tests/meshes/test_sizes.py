"""What a component asks for, in any way a quantity can be written."""

from __future__ import annotations

import pytest

from meshup.meshes.istio.driver import IstioSidecar
from meshup.meshes.istio.unused import mebibytes, millicores
from meshup.model.runbook import Manifests, Mesh


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("100m", 100),
        ("2", 2000),
        ("0.5", 500),
        (".5", 500),
        ("1k", 1_000_000),
        ("1e3", 1_000_000),
        ("500u", 0),
        ("", 0),
        ("much", 0),
    ],
)
def test_processor_time(text, wanted):
    assert millicores(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("128Mi", 128),
        ("2Gi", 2048),
        ("2048Mi", 2048),
        ("1Ti", 1024 * 1024),
        ("1048576", 1),
        ("1048576k", 1000),
        ("1E", 953674316406),
        ("1Pi", 1024**3),
        ("1024Ki", 1),
        ("128e6", 122),
        ("500m", 0),
        ("-", 0),
    ],
)
def test_memory(text, wanted):
    assert mebibytes(text) == wanted


def test_a_sidecar_asks_for_what_the_values_say():
    mesh = Mesh(
        driver="istio",
        release="1.30.3",
        revision="1-30-3",
        namespace="istio-system",
        manifests=Manifests(source="stand-in"),
        values={"global": {"proxy": {"resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}}}},
    )
    assert IstioSidecar().sidecar_requests(None, mesh) == (20, 64)
