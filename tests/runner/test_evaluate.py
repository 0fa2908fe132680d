from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgecnn.runner.evaluate import evaluate
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.pixels import to_feed
from tests.house.child import child
from tests.runner.conftest import CopyKit
from tests.runner.kits import MEAN, STD, write_pixels
from tests.runner.processes import edit, wait_until


def joined(out: Path) -> np.ndarray:
    return np.concatenate([np.load(path) for path in sorted(out.glob("logits-*.npy"))])


def bare_logits(kit: Path, pixels: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(kit / "model.onnx", providers=["CPUExecutionProvider"])
    return session.run(None, {"image": to_feed(np.load(pixels), "float32", "NCHW", MEAN, STD)})[0]


def test_logits_are_those_of_the_bare_runtime_in_order(onnx_kit: Path, tmp_path: Path) -> None:
    pixels = write_pixels(tmp_path / "pixels.npy", 75)
    facts = evaluate(Kit.open(onnx_kit), pixels, tmp_path / "out", chunk=32, batch=10)
    assert [len(np.load(path)) for path in sorted((tmp_path / "out").glob("logits-*.npy"))] == [32, 32, 11]
    np.testing.assert_allclose(joined(tmp_path / "out"), bare_logits(onnx_kit, pixels), atol=1e-4)
    assert facts == json.loads((tmp_path / "out/evaluation.json").read_text())
    assert (facts["images"], facts["classes"], facts["evaluated_now"]) == (75, 4, 75)
    assert facts["environment"]["conditions"]["runtime_version"] == onnxruntime.__version__


def test_a_fixed_batch_is_filled_up_for_the_last_images(openvino_kit: Path, tmp_path: Path) -> None:
    pixels = write_pixels(tmp_path / "pixels.npy", 11)
    evaluate(Kit.open(openvino_kit), pixels, tmp_path / "out", batch=8)
    np.testing.assert_allclose(joined(tmp_path / "out"), bare_logits(openvino_kit, pixels), atol=1e-4)


def test_chunks_that_are_there_are_not_evaluated_again(onnx_kit: Path, tmp_path: Path) -> None:
    pixels, out = write_pixels(tmp_path / "pixels.npy", 64), tmp_path / "out"
    evaluate(Kit.open(onnx_kit), pixels, out, chunk=16)
    before = joined(out)
    (out / "evaluation.json").unlink()
    (out / "logits-00002.npy").unlink()
    kept = (out / "logits-00000.npy").stat().st_mtime_ns
    facts = evaluate(Kit.open(onnx_kit), pixels, out, chunk=16)
    assert facts["evaluated_now"] == 16
    assert (out / "logits-00000.npy").stat().st_mtime_ns == kept
    np.testing.assert_array_equal(joined(out), before)


def test_killed_in_the_middle_it_continues_and_gives_the_same(copy_kit: CopyKit, onnx_kit: Path, tmp_path: Path) -> None:
    pixels, out, kit = write_pixels(tmp_path / "pixels.npy", 160), tmp_path / "out", copy_kit()
    edit(
        kit,
        "runner/sessions/onnxruntime_cpu.py",
        "        return dict(zip(",
        "        import time; time.sleep(0.02)\n        return dict(zip(",
    )
    command = [sys.executable, "-B", "-m", "runner", "evaluate", "--pixels", str(pixels), "--out", str(out)]
    with child([*command, "--chunk", "16", "--batch", "4"], cwd=kit, piped=False):
        assert wait_until(lambda: (out / "logits-00001.npy").exists())
    assert not (out / "evaluation.json").exists()
    done = subprocess.run(
        [*command, "--chunk", "16", "--batch", "4", "--json"], cwd=kit, capture_output=True, text=True, check=True
    )
    facts = json.loads(done.stdout.splitlines()[-1])["evaluation"]
    assert 0 < facts["evaluated_now"] <= 128
    evaluate(Kit.open(onnx_kit), pixels, tmp_path / "whole", chunk=16, batch=4)
    np.testing.assert_array_equal(joined(out), joined(tmp_path / "whole"))


def test_a_finished_evaluation_is_returned_as_it_is(onnx_kit: Path, tmp_path: Path) -> None:
    pixels = write_pixels(tmp_path / "pixels.npy", 8)
    first = evaluate(Kit.open(onnx_kit), pixels, tmp_path / "out")
    assert evaluate(Kit.open(onnx_kit), pixels, tmp_path / "out") == first


def test_a_folder_of_other_pixels_is_refused(onnx_kit: Path, tmp_path: Path) -> None:
    evaluate(Kit.open(onnx_kit), write_pixels(tmp_path / "one.npy", 8, seed=1), tmp_path / "out")
    with pytest.raises(RunnerError) as caught:
        evaluate(Kit.open(onnx_kit), write_pixels(tmp_path / "two.npy", 8, seed=2), tmp_path / "out")
    assert caught.value.ref == "other-evaluation"
    assert caught.value.because is not None and caught.value.because.startswith("its pixels_sha256 is")


def test_chunks_from_other_conditions_are_made_again(onnx_kit: Path, tmp_path: Path) -> None:
    pixels, out = write_pixels(tmp_path / "pixels.npy", 8), tmp_path / "out"
    evaluate(Kit.open(onnx_kit), pixels, out)
    request = json.loads((out / "request.json").read_text())
    request["conditions"]["kernel"] = "another"
    (out / "request.json").write_text(json.dumps(request))
    assert evaluate(Kit.open(onnx_kit), pixels, out)["evaluated_now"] == 8


def test_pixels_of_another_size_are_refused(onnx_kit: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", np.zeros((4, 16, 16, 3), np.uint8))
    with pytest.raises(RunnerError) as caught:
        evaluate(Kit.open(onnx_kit), tmp_path / "pixels.npy", tmp_path / "out")
    assert caught.value.because == "uint8 [4, 16, 16, 3], expected uint8 ['N', 32, 32, 3]"


def test_a_batch_that_the_model_does_not_take_is_refused(onnx_kit: Path, tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=r"a batch of 65 is not in 1…64"):
        evaluate(Kit.open(onnx_kit), write_pixels(tmp_path / "pixels.npy", 4), tmp_path / "out", batch=65)


def test_a_kit_that_was_changed_is_not_evaluated(copy_kit: CopyKit, tmp_path: Path) -> None:
    kit = copy_kit()
    (kit / "golden/card.png").write_bytes(b"")
    with pytest.raises(RunnerError) as caught:
        evaluate(Kit.open(kit), write_pixels(tmp_path / "pixels.npy", 4), tmp_path / "out")
    assert caught.value.ref == "kit-file-changed"
