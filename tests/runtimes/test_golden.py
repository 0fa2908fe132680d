import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.graph import GOLDEN_NOT_TELLING
from edgecnn.runtimes.checks import LEAST_TOLERANCE, golden_logits, least_tolerance, logits_of_files
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.model_file import LOGITS_TOLERANCE, ModelFile
from edgecnn.values.profile import Environment
from tests.graph.trunks import NORMALIZATION, prepared
from tests.runtimes.made import CANDIDATES, made

AVX2_ALONE = Environment(conditions={"isa": "avx2"}, observed={"architecture": "x86_64"})
WITH_VNNI = Environment(conditions={"isa": "avx2 avx512_vnni"}, observed={"architecture": "x86_64"})


@pytest.mark.parametrize("candidate", sorted(CANDIDATES))
def test_swapped_channels_lie_outside_every_candidates_tolerance(candidate: str) -> None:
    golden = golden_logits(made(candidate), prepared(), NORMALIZATION, CANDIDATES[candidate])
    model = ModelFile.model_validate_json((made(candidate) / "model.json").read_text())
    facts = json.loads((made(candidate) / "quantize.json").read_text())["golden"]
    assert golden.tells_channels
    assert golden.swap > golden.tolerance == model.logits_tolerance == facts["tolerance"]


@pytest.mark.parametrize("candidate", sorted(CANDIDATES))
def test_the_tolerance_never_falls_below_what_other_machines_need(
    candidate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecnn.runtimes.checks._this_processor", lambda: WITH_VNNI)
    (tmp_path / "golden").mkdir()
    pixels = np.load(prepared() / "golden" / "pixels.npy")
    np.save(tmp_path / "golden" / "pixels.npy", np.repeat(pixels[..., :1], 3, axis=3))
    golden = golden_logits(made(candidate), tmp_path, NORMALIZATION, CANDIDATES[candidate])
    assert (golden.swap, golden.tells_channels) == (0.0, False)
    assert golden.tolerance == least_tolerance(CANDIDATES[candidate])


@pytest.mark.parametrize("runtime", [Runtime.NCNN, Runtime.OPENVINO])
def test_fp16_that_was_answered_for_in_fp32_has_room_for_what_halves_were_seen_to_differ_by(runtime: Runtime) -> None:
    """A Cortex-A76's answers were 0.047 (ncnn) and 0.026 (OpenVINO) of their spread away: no correct board fails its test."""
    assert least_tolerance(Candidate(id="x-fp16", runtime=runtime, precision=Precision.FP16)) > 0.047
    assert least_tolerance(Candidate(id="x-fp32", runtime=runtime, precision=Precision.FP32)) == LEAST_TOLERANCE[Precision.FP32]


def test_bounds_of_the_tolerance_are_in_order() -> None:
    assert all(LEAST_TOLERANCE[precision] < most for precision, most in LOGITS_TOLERANCE.items())


def test_a_twin_answers_for_a_model_that_cannot_run_here(tmp_path: Path) -> None:
    shutil.copytree(made("onnxruntime-fp32"), tmp_path / "made")
    shutil.copytree(made("onnxruntime-int8"), tmp_path / "made" / "twin")
    golden = golden_logits(tmp_path / "made", prepared(), NORMALIZATION, CANDIDATES["onnxruntime-int8"])
    assert np.array_equal(golden.logits, np.load(made("onnxruntime-int8") / "golden_logits.npy"))


def test_openvino_int8_for_a_device_that_adds_exactly_has_exact_golden_logits_and_passes_here_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full_range, folder = CANDIDATES["openvino-int8"], made("openvino-int8")
    pixels = np.load(prepared() / "golden" / "pixels.npy")
    model = ModelFile.model_validate_json((folder / "model.json").read_text())
    by_kernels = logits_of_files(folder, model, pixels, NORMALIZATION)
    golden = {}
    for name, processor in (("avx2", AVX2_ALONE), ("vnni", WITH_VNNI)):
        monkeypatch.setattr("edgecnn.runtimes.checks._this_processor", lambda processor=processor: processor)
        golden[name] = golden_logits(folder, prepared(), NORMALIZATION, full_range)
    assert np.array_equal(golden["vnni"].logits, by_kernels), "kernels that add exactly are used as they are"
    exact = model.session.model_copy(update={"options": {**model.session.options, "LP_TRANSFORMS_MODE": "NO"}})
    in_float = logits_of_files(folder, model.model_copy(update={"session": exact}), pixels, NORMALIZATION)
    assert np.array_equal(golden["avx2"].logits, in_float)
    away = np.abs(by_kernels - in_float).max() / np.ptp(in_float)
    assert golden["avx2"].tolerance >= 1.5 * away


def test_a_model_that_answers_everything_alike_is_refused(tmp_path: Path) -> None:
    (tmp_path / "golden").mkdir()
    same = np.load(prepared() / "golden" / "pixels.npy")[[0, 0, 0]]
    np.save(tmp_path / "golden" / "pixels.npy", same)
    with pytest.raises(EdgecnnError, check=GOLDEN_NOT_TELLING.made) as caught:
        golden_logits(made("onnxruntime-fp32"), tmp_path, NORMALIZATION, CANDIDATES["onnxruntime-fp32"])
    assert caught.value.ref == "golden-not-telling"
