import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.stages.trunk import NETWORK, ExportStage
from edgecnn.values.layers import MacTable
from edgecnn.values.stage import Key
from tests.graph.trunks import CLASSES, NORMALIZATION, RESOLUTION_PX, feed_of, prepared
from tests.runtimes.made import Quiet

VERSIONS = {"onnx": "1", "onnxruntime": "1", "onnxscript": "1", "torch": "1", "torchvision": "1"}


def stage(**changed: object) -> ExportStage:
    settings = {"arch": "resnet-18", "classes": CLASSES, "resolution_px": RESOLUTION_PX, "normalization": NORMALIZATION}
    return ExportStage.model_validate({**settings, "inputs": {"weights": Key("a"), "pixels": Key("b")}, **changed})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    save_file(build_network(arch_named("resnet-18"), CLASSES).state_dict(), folder / "weights.safetensors")
    return folder


@pytest.fixture(scope="module")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export")
    stage().make({"weights": trained, "pixels": prepared()}, out, Quiet())
    return out


def test_the_stage_leaves_the_trunk_its_macs_its_check_and_torchs_golden_answers(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == {"model.onnx", "macs.json", "check.json", "golden_logits.npy", NETWORK}
    learned = build_network(arch_named("resnet-18"), CLASSES)
    assert json.loads((made / NETWORK).read_text()) == {"parameters": sum(each.numel() for each in learned.parameters())}


def test_golden_logits_are_torchs_own(trained: Path, made: Path) -> None:
    network = build_network(arch_named("resnet-18"), CLASSES).eval()
    golden = np.load(prepared() / "golden" / "pixels.npy")
    with torch.inference_mode():
        expected = network(torch.from_numpy(feed_of(golden))).numpy()
    assert np.allclose(np.load(made / "golden_logits.npy"), expected, atol=1e-6)


def test_the_macs_are_those_of_the_graph_at_the_recipes_resolution(made: Path) -> None:
    table = MacTable.model_validate_json((made / "macs.json").read_text())
    assert (table.resolution_px, len(table.layers)) == (ImageSize.square(RESOLUTION_PX), 21)


def test_the_check_says_how_many_images_agreed(made: Path) -> None:
    check = json.loads((made / "check.json").read_text())
    assert check["images"] == 32
    assert check["top1_agreement"] == 1.0


def test_no_path_of_this_machine_is_left_in_the_trunk(made: Path) -> None:
    content = (made / "model.onnx").read_bytes()
    assert b"site-packages" not in content
    assert str(made).encode() not in content


def test_every_setting_and_tool_changes_the_key() -> None:
    keys = {
        stage().key(VERSIONS),
        stage(resolution_px=96).key(VERSIONS),
        stage(classes=11).key(VERSIONS),
        stage(arch="resnet-34").key(VERSIONS),
        stage().key({**VERSIONS, "onnxscript": "2"}),
    }
    assert len(keys) == 5


def test_the_graph_is_what_old_boards_read(made: Path) -> None:
    model = onnx.load(made / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, model.opset_import[0].version) == (10, 20)
