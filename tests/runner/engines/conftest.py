"""One real kit and one engine built from it, once a session; what a test puts into the kit, it takes out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.runner.engines.engine import BuildRequest, build_engines
from tests.runner.engine_kits import INT8, RTX, engine_kit

NETWORK = "mobilenet_v3_small"


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return engine_kit(tmp_path_factory.mktemp("engine") / "kit", NETWORK, INT8)


@pytest.fixture(scope="session")
def built(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("engine") / "build"
    build_engines(kit, out, BuildRequest(RTX, ["8.6"]))
    return out
