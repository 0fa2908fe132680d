"""Which output of a file holds the class scores is chosen by ``model.output``, and only of a file."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edgecnn.building.build import plan_build
from edgecnn.cli.asking import BuildOptions, request_from
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import MODEL_OUTPUT_OF_AN_ARCH, CustomModelUnusable
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.values.resolved import Resolved
from tests.graph.custom_files import CLASSES, classifier, photo_folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photo_folder(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    model = classifier("half")
    model.graph.node.append(helper.make_node("Identity", ["flat"], ["embedding"]))
    model.graph.output.insert(0, helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3]))
    onnx.save(model, tmp_path / "mine.onnx")
    return tmp_path / "mine.onnx"


def resolved(photos: Path, *sets: str, file: Path | None = None) -> Resolved:
    asked = BuildOptions(onnx=file and str(file), data=str(photos), target="cpu", verb="plan", overrides=sets)
    return plan_build(request_from(asked, "judge"), Store.open(), Quiet()).plan.resolved


def test_the_output_of_that_name_is_the_answer(file: Path, photos: Path) -> None:
    with pytest.raises(CustomModelUnusable, match="has 2: embedding, scores"):
        resolved(photos, file=file)
    model = resolved(photos, "model.output=scores", file=file).custom_model
    assert model is not None and (model.entry.output, model.entry.classes) == ("scores", len(CLASSES))
    assert model.trials[0].right == model.trials[0].images


@pytest.mark.parametrize(("sets", "kind"), [(("model.output=nothing",), CustomModelUnusable), (("model.output=",), EdgecnnError)])
def test_a_name_of_no_output_is_refused(sets: tuple[str, ...], kind: type[EdgecnnError], file: Path, photos: Path) -> None:
    with pytest.raises(kind) as refused:
        resolved(photos, *sets, file=file)
    assert refused.value.exit_code == 2


def test_a_network_of_the_catalogue_has_one(file: Path, photos: Path) -> None:
    with pytest.raises(EdgecnnError, check=MODEL_OUTPUT_OF_AN_ARCH.made):
        resolved(photos, "model.output=scores")
