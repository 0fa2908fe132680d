from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn.runner.golden import check_logits, check_photo, golden_pixels
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.sessions import Session, open_session
from tests.runner.conftest import CopyKit
from tests.runner.kits import SIDE, logits_of, make_kit, rewrite_manifest


@pytest.fixture(params=["onnx_kit", "openvino_kit"])
def kit(request: pytest.FixtureRequest) -> Kit:
    return Kit.open(request.getfixturevalue(request.param))


@pytest.fixture
def session(kit: Kit) -> Session:
    return open_session(kit, batch=1)


def test_the_golden_set_is_reproduced(kit: Kit, session: Session) -> None:
    check = check_logits(kit, session, golden_pixels(kit))
    assert check.difference <= check.allowed
    assert check_photo(kit) == 0


def test_swapped_channels_are_noticed(kit: Kit, session: Session) -> None:
    with pytest.raises(RunnerError) as caught:
        check_logits(kit, session, golden_pixels(kit)[..., ::-1])
    assert caught.value.ref == "golden-logits-differ"
    assert caught.value.hint is not None and "Pillow" not in caught.value.hint and "machine" not in caught.value.hint


def test_a_channel_with_anothers_mean_is_noticed(kit: Kit, session: Session) -> None:
    pixels = golden_pixels(kit)
    kit.manifest = kit.manifest._replace(mean=tuple(reversed(kit.manifest.mean)))
    with pytest.raises(RunnerError) as caught:
        check_logits(kit, session, pixels)
    assert caught.value.ref == "golden-logits-differ"


def test_bilinear_instead_of_bicubic_is_noticed(kit: Kit) -> None:
    kit.manifest = kit.manifest._replace(recipe=kit.manifest.recipe._replace(interpolation="bilinear"))
    with pytest.raises(RunnerError) as caught:
        golden_pixels(kit)
    assert caught.value.what == "golden/card.png: does not become the golden pixels"


def test_a_photo_that_decodes_differently_is_noticed(kit: Kit) -> None:
    kit.manifest = kit.manifest._replace(recipe=kit.manifest.recipe._replace(interpolation="bilinear"))
    with pytest.raises(RunnerError, match="does not become the golden pixels") as caught:
        check_photo(kit)
    assert caught.value.because is not None and caught.value.because.endswith("allowed are 2")


def test_a_model_that_computes_nan_is_noticed(copy_kit: CopyKit) -> None:
    folder: Path = copy_kit()
    kit = Kit.open(folder)
    session = open_session(kit, batch=1)

    class Broken(Session):
        def inputs(self):  # type: ignore[no-untyped-def]
            return session.inputs()

        def run(self, feed):  # type: ignore[no-untyped-def]
            return {"logits": session.run(feed)["logits"] * np.float32("nan")}

    with pytest.raises(RunnerError) as caught:
        check_logits(kit, Broken(), golden_pixels(kit))
    assert caught.value.because is not None and caught.value.because.startswith("they differ by up to nan")


def test_a_network_that_answers_at_random_is_noticed_though_its_answers_are_near_the_golden_ones(copy_kit: CopyKit) -> None:
    folder = copy_kit()
    golden = Kit.open(folder)
    logits = np.load(golden.path(golden.manifest.golden.logits))
    noise = 0.1 * float(logits.max() - logits.min())  # ten times what two calls may differ by
    model = onnx.load(folder / "model.onnx")
    model.graph.node[-1].output[0] = "clean"
    model.graph.node.extend(
        [
            onnx.helper.make_node("RandomNormalLike", ["clean"], ["noise"], name="noise", scale=noise),
            onnx.helper.make_node("Add", ["clean", "noise"], ["logits"], name="noisy"),
        ]
    )
    onnx.save(model, folder / "model.onnx")
    rewrite_manifest(folder, lambda manifest: manifest["golden"].update(logits_tolerance=0.5))
    kit = Kit.open(folder)
    with pytest.raises(RunnerError) as caught:
        check_logits(kit, open_session(kit), golden_pixels(kit))
    assert caught.value.ref == "answers-vary"


def test_what_another_program_is_fed_and_should_answer_is_written_as_plain_numbers(tmp_path: Path) -> None:
    kit, out = make_kit(tmp_path), tmp_path / "given"
    command = [sys.executable, "-B", "-m", "runner", "golden", "--json", "--out", str(out)]
    golden = json.loads(subprocess.check_output(command, cwd=kit, text=True).splitlines()[-1])["golden"]
    assert golden["shape"] == [1, 3, SIDE, SIDE] and 0 < golden["allowed_difference"] < 1
    assert np.fromfile(out / "golden-input.bin", golden["dtype"]).size == 3 * SIDE * SIDE
    assert np.array_equal(np.fromfile(out / "golden-answer.bin", np.float32), logits_of(kit)[0])
