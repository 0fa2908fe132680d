"""The kits of one ordinary build, fp32 and INT8: every stage, a network as users have it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.building.builds import place_with_photos

Kits = dict[str, Path]


@pytest.fixture(scope="session")
def ordinary_kits(tmp_path_factory: pytest.TempPathFactory) -> Kits:
    """Precision to the kit's folder."""
    place = place_with_photos(tmp_path_factory.mktemp("ordinary"))
    built = place.run("build")
    manifests = list((place.store / "artifacts" / "package").glob("*/files/kit.json"))
    kits = {json.loads(path.read_text())["candidate"]["precision"]: path.parent for path in manifests}
    assert set(kits) == {"fp32", "int8"}, built.stderr
    return kits
