"""A network that lost layers learns its own answers again, and leaves as a trunk of its own."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.training import BATCH_TOO_LARGE, TRAINING_DIVERGED
from edgecnn.graph.checks import onnx_logits
from edgecnn.graph.export import export_onnx
from edgecnn.graph.macs import mac_table
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import to_feed
from edgecnn.stages.learning import SurgeryStage
from edgecnn.training.memory import resident_mib
from edgecnn.values.layers import MacTable
from edgecnn.values.training import Surgery
from tests.data.folders import Heard
from tests.graph.trunks import scratch
from tests.runtimes.aware_made import COUNTS, PREPROCESSING, SMALL, pixels, roles, weights
from tests.stages.killed import killed_when
from tests.training.made import files_of

pytestmark = pytest.mark.slow  # a network is trained, changed and trained again
PROGRAM = """
import json, sys
from pathlib import Path
from edgecnn.stages.learning import SurgeryStage

class Silent:
    def step(self, what, done, total=None, unit=""): pass
    def note(self, text): pass
settings, roles, out = json.loads(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
SurgeryStage.model_validate(settings).make({role: Path(path) for role, path in roles.items()}, out, Silent())
"""


def stage(epochs: int = 2, **changes: object) -> SurgeryStage:
    """A short one that takes squeeze-excite out; a test states what is different about its own."""
    asked = Surgery(squeeze_excite="remove", epochs=epochs)
    plain = {"arch": SMALL, "classes": 10, "preprocessing": PREPROCESSING, "surgery": asked, "learning_rate": 1e-4}
    return SurgeryStage.model_validate({**plain, "threads": 2, "batch_size": 32, **changes})


@cache
def made() -> Path:
    """What the stage leaves."""
    folder = scratch() / "surgery"
    folder.mkdir()
    stage().make(roles(), folder, Heard())
    return folder


def facts() -> dict[str, Any]:
    return dict(json.loads((made() / "surgery.json").read_text()))


def test_only_the_files_of_the_contract_are_left() -> None:
    assert set(files_of(made())) == {"check.json", "golden_logits.npy", "macs.json", "model.onnx", "surgery.json"}


def test_training_brings_it_nearer_to_the_network_that_it_came_from(tmp_path: Path) -> None:
    """After two epochs some makes of processor round it no nearer yet; after six it is, on those too."""
    stage(epochs=6).make(roles(), tmp_path, Heard())
    told = dict(json.loads((tmp_path / "surgery.json").read_text()))
    assert told["after"]["divergence_from_unchanged"] < 0.9 * told["before"]["divergence_from_unchanged"]
    assert len(told["epochs"]) == 6
    assert len(facts()["epochs"]) == 2


def test_the_file_has_no_squeeze_excite_and_fewer_parameters_and_multiply_adds(tmp_path: Path) -> None:
    kinds = [node.op_type for node in onnx.load(made() / "model.onnx").graph.node]
    assert "HardSigmoid" not in kinds  # the gates of this network
    assert "BatchNormalization" not in kinds
    whole = export_onnx(build_network(arch_named(SMALL), 10), ImageSize.square(64), tmp_path / "whole.onnx")
    ours = MacTable.model_validate_json((made() / "macs.json").read_text())
    assert ours.total < mac_table(whole).total
    assert ours.total == mac_table(made() / "model.onnx").total
    counts = facts()["parameters"]
    assert counts["after"] < counts["before"]


def test_the_file_answers_as_the_network_that_learned() -> None:
    normalization = PREPROCESSING.normalization
    golden = to_feed(np.load(pixels() / "golden" / "pixels.npy"), "float32", "NCHW", normalization.mean, normalization.std)
    wanted = np.load(made() / "golden_logits.npy")
    assert np.abs(onnx_logits(made() / "model.onnx", golden) - wanted).max() < 1e-3 * np.ptp(wanted)


def test_the_trained_weights_stay_as_they_were() -> None:
    before = files_of(weights())
    made()
    assert files_of(weights()) == before


def test_progress_ends_at_its_total(tmp_path: Path) -> None:
    heard = Heard()
    stage(1).make(roles(), tmp_path, heard)
    told = [step for step in heard.steps if step[0] == "re-train after surgery"]
    assert told[-1] == ("re-train after surgery", COUNTS["train"], COUNTS["train"], "images")


def test_one_killed_and_continued_in_another_process_leaves_the_same_bytes(tmp_path: Path) -> None:
    words = [stage().model_dump_json(), json.dumps({role: str(path) for role, path in roles().items()}), str(tmp_path)]
    killed_when("resume/surgery.checkpoint.safetensors", [sys.executable, "-c", PROGRAM, *words], tmp_path)
    assert not (tmp_path / "surgery.json").exists()
    stage().make(roles(), tmp_path, Heard())
    assert files_of(tmp_path) == files_of(made())


def test_a_loss_that_is_no_number_names_the_setting_to_lower(tmp_path: Path) -> None:
    with pytest.raises(
        EdgecnnError,
        match=r"phase surgery, epoch 1, batch .* --set surgery\.learning_rate=3e\+37, a third",
        check=TRAINING_DIVERGED.made,
    ):
        stage(learning_rate=1e38).make(roles(), tmp_path, Heard())
    assert not (tmp_path / "model.onnx").exists()


def test_a_batch_that_cannot_fit_is_refused_before_it_is_learned_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.training.memory.memory_limit_mib", lambda: resident_mib() + 256)
    with pytest.raises(
        EdgecnnError, match=r"a batch of 320 images does not fit .* --set train\.batch_size=\d+", check=BATCH_TOO_LARGE.made
    ):
        stage(batch_size=4096).make(roles(), tmp_path, Heard())
    assert not list(tmp_path.rglob("*.best.safetensors"))


def test_every_setting_enters_the_key() -> None:
    versions = dict.fromkeys(stage().tools, "1")
    changed: list[dict[str, object]] = [
        {"arch": "efficientnet-b0"}, {"classes": 9}, {"surgery": Surgery(activation="relu6", epochs=2)}, {"epochs": 3},
        {"batch_size": 33}, {"learning_rate": 2e-4}, {"seed": 1},
    ]  # fmt: skip
    keys = {stage(**change).key(versions) for change in [{}, *changed]}  # type: ignore[arg-type]
    assert len(keys) == len(changed) + 1
