"""Kits of networks that are timed alone: from published weights where there are some, and the same kits as ever where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.building.untrained_kits import KitMaker
from edgecnn.devices.desktop_gpu import REFERENCE, VARIANTS
from edgecnn.models.catalogue import arch_named
from edgecnn.planning.candidates import BASELINE
from edgecnn.store.entry import StageInputs
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, WeightsAnswer
from edgecnn.values.fit import Probe
from edgecnn.values.stage import Stage, digest_of
from tests.building.resolutions import INT8
from tests.building.scenes import an_artifact
from tests.store.toys import Ear

PROBE = Probe(arch="resnet-18", resolution_px=224, classes=1000)
KIT = """{"session": {"module": "onnxruntime_session"}, "stands_for": null}"""


class Stages:
    """Hears which stages are asked for, and gives the same artifact of the same stage at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[Stage] = []
        self.made: dict[str, Artifact] = {}

    def obtain(self, stage: Stage, under: StageInputs, *_: object) -> tuple[Artifact, None]:
        assert dict(stage.inputs) == {role: each.key for role, each in under.inputs.items()}
        name = digest_of([stage.kind, stage.model_dump(mode="json")])
        if name not in self.made:
            self.asked.append(stage)
            self.made[name] = an_artifact(
                stage.kind, self.folder / name[:12], {"kit.json": KIT} if stage.kind == "package" else {}
            )
        return self.made[name], None

    def inputs(self, kind: str) -> list[dict[str, str]]:
        """Of each stage of a kind: role to the kind of what it reads."""
        kinds = {each.key: each.kind for each in self.made.values()}
        return [{role: kinds[key] for role, key in each.inputs.items()} for each in self.asked if each.kind == kind]


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    return Stages(tmp_path)


def maker(stages: Stages, tmp_path: Path) -> Any:
    store = Store.open(tmp_path / "store")
    object.__setattr__(store, "artifacts", stages)
    return KitMaker(store, Ear(), {})


def test_seeded_weights_come_with_the_images_out_of_one_step(stages: Stages, tmp_path: Path) -> None:
    maker(stages, tmp_path).kits(PROBE, [BASELINE, INT8])
    assert [each.kind for each in stages.asked] == ["probe", "quantize", "package", "quantize", "package"]
    assert stages.inputs("quantize") == [{"model": "probe", "pixels": "probe"}] * 2
    assert stages.inputs("package") == [{"model": "quantize", "pixels": "probe"}] * 2


def test_published_weights_are_exported_as_a_build_s_and_every_candidate_is_made_of_that(stages: Stages, tmp_path: Path) -> None:
    making = maker(stages, tmp_path)
    fetched = making.fetched(arch_named("resnet-18"), WeightsAnswer(choice="auto", kind="download", why="downloaded"))
    made = making.kits(PROBE, [BASELINE, INT8], fetched)
    assert (list(made.made), made.failed) == ([BASELINE.id, INT8.id], {})
    assert [each.kind for each in stages.asked][:3] == ["fetch", "probe", "export"]
    assert stages.inputs("export") == [{"weights": "fetch", "pixels": "probe"}]
    assert stages.inputs("quantize") == [{"model": "export", "pixels": "probe"}] * 2
    assert stages.inputs("package") == [{"model": "quantize", "pixels": "probe"}] * 2


@pytest.mark.parametrize("published", [False, True])
def test_the_ways_of_a_gpu_open_one_program(stages: Stages, tmp_path: Path, published: bool) -> None:
    making = maker(stages, tmp_path)
    answer = WeightsAnswer(choice="auto", kind="download", why="downloaded")
    fetched = making.fetched(arch_named("resnet-18"), answer) if published else None
    ways = (REFERENCE, *VARIANTS[:2])
    assert list(making.gpu_kits(PROBE, ways, fetched).made) == [each.id for each in ways]
    weights = {"weights": "fetch"} if published else {}
    assert stages.inputs("program") == [{**weights, "pixels": "probe"}]
    assert stages.inputs("variant") == [{"program": "program", "pixels": "probe"}] * 2
    assert [each["model"] for each in stages.inputs("package")] == ["program", "variant", "variant"]
