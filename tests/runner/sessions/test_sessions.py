from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest

from edgecnn.runner.feeds import feed_of, run_checked
from edgecnn.runner.golden import golden_pixels
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.sessions import open_session
from tests.runner.kits import rewrite_manifest


@pytest.fixture(params=["onnx_kit", "openvino_kit"])
def kit(request: pytest.FixtureRequest) -> Kit:
    return Kit.open(request.getfixturevalue(request.param))


def test_two_runtimes_agree_on_one_network(onnx_kit: Path, openvino_kit: Path) -> None:
    logits = []
    for folder in (onnx_kit, openvino_kit):
        kit = Kit.open(folder)
        logits.append(run_checked(open_session(kit), kit, feed_of(kit, golden_pixels(kit))))
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-4)


def test_outputs_of_one_call_survive_the_next(kit: Kit) -> None:
    session = open_session(kit, batch=1)
    pixels = golden_pixels(kit)
    first = run_checked(session, kit, feed_of(kit, pixels[:1]))
    kept = first.copy()
    run_checked(session, kit, feed_of(kit, pixels[1:]))
    np.testing.assert_array_equal(first, kept)


def test_a_batch_gives_what_its_images_give_alone(kit: Kit) -> None:
    pixels = golden_pixels(kit)
    together = run_checked(open_session(kit, batch=2), kit, feed_of(kit, pixels))
    session = open_session(kit, batch=1)
    alone = np.concatenate([run_checked(session, kit, feed_of(kit, pixels[i : i + 1])) for i in range(2)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("wrong", ["dtype", "shape", "name"])
def test_a_feed_that_does_not_fit_is_refused_before_the_runtime_sees_it(kit: Kit, wrong: str) -> None:
    feed = feed_of(kit, golden_pixels(kit)[:1])
    if wrong == "dtype":
        feed = {"image": feed["image"].astype(np.float64)}
    elif wrong == "shape":
        feed = {"image": feed["image"][:, :, :-1]}
    else:
        feed = {"picture": feed["image"]}
    with pytest.raises(RunnerError) as caught:
        run_checked(open_session(kit, batch=1), kit, feed)
    assert caught.value.ref == "wrong-feed"


def test_a_tensor_that_openvino_merged_with_others_keeps_the_name_of_the_kit(onnx_kit: Path, tmp_path: Path) -> None:
    """As the transposes of a file with channels last leave it: the port then has the names of all merged tensors."""
    folder = shutil.copytree(onnx_kit, tmp_path / "merged")
    graph = openvino.convert_model(folder / "model.onnx")
    graph.input(0).get_tensor().set_names({"a_planes", "image", "pixels"})
    graph.output(0).get_tensor().set_names({"a_scores", "logits", "shares"})
    openvino.save_model(graph, folder / "model.xml", compress_to_fp16=False)

    def use_openvino(manifest: dict[str, Any]) -> None:
        manifest["session"] = {"module": "openvino_cpu", "options": {"INFERENCE_PRECISION_HINT": "f32"}}
        manifest["model"] |= {"entry": "model.xml", "files": ["model.bin", "model.xml"]}

    rewrite_manifest(folder, use_openvino)
    kit = Kit.open(folder)
    for batch in (None, 1):
        session = open_session(kit, batch=batch)
        assert [spec.name for spec in session.inputs()] == ["image"]
        answers = run_checked(session, kit, feed_of(kit, golden_pixels(kit)[:1]))
        np.testing.assert_allclose(answers, np.load(folder / "golden/logits.npy")[:1], atol=1e-4)


def test_an_output_with_other_classes_than_the_kit_says_is_refused(onnx_kit: Path) -> None:
    kit = Kit.open(onnx_kit)
    output = kit.manifest.model.output._replace(classes=7)
    kit.manifest = kit.manifest._replace(model=kit.manifest.model._replace(output=output))
    with pytest.raises(RunnerError) as caught:
        run_checked(open_session(kit), kit, feed_of(kit, golden_pixels(kit)))
    assert caught.value.because == "shape [2, 4], expected [2, 7]"


@pytest.mark.parametrize("knobs", [{"thread": "1"}, {"threads": "none"}, {"threads": "0"}])
def test_an_option_that_would_do_nothing_is_an_error(kit: Kit, knobs: dict[str, str]) -> None:
    with pytest.raises(RunnerError) as caught:
        open_session(kit, knobs)
    assert caught.value.ref in ("bad-option", "runtime-refused-model")
    assert "thread" in f"{caught.value.what} {caught.value.because}"


def test_a_kit_may_not_have_its_runtime_write_a_file_that_it_names(onnx_kit: Path, tmp_path: Path) -> None:
    """Node memory statistics go to any path, with node names, which the kit's author chooses, as content."""
    target = tmp_path / "profile"
    option = {"session.collect_node_memory_stats_to_file": str(target)}
    hostile = Path(shutil.copytree(onnx_kit, tmp_path / "kit"))
    rewrite_manifest(hostile, lambda facts: facts["session"]["options"].update(option))
    with pytest.raises(RunnerError) as caught:
        Kit.open(hostile)
    assert (caught.value.ref, "collect_node_memory_stats" in caught.value.what) == ("bad-option", True)
    assert not target.exists()


@pytest.mark.parametrize("option", ["session.collect_node_memory_stats_to_file", "CACHE_DIR", "WEIGHTS_PATH"])
def test_neither_may_a_caller(kit: Kit, option: str, tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        open_session(kit, {option: str(tmp_path / "cache")})
    assert caught.value.ref == "bad-option"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("threads", ["1000000", "1025", "-1", "0", "1e3", "\u0661"])
def test_more_threads_than_a_machine_has_are_refused(kit: Kit, threads: str) -> None:
    with pytest.raises(RunnerError) as caught:
        open_session(kit, {"threads": threads})
    assert caught.value.ref == "bad-option"
    assert caught.value.what.endswith("is not a whole number from 1 to 1024")


def test_a_model_that_the_runtime_cannot_read_is_one_line(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(onnx.ModelProto(ir_version=10).SerializeToString())
    kit.folder = tmp_path
    with pytest.raises(RunnerError) as caught:
        open_session(kit)
    assert caught.value.ref == "runtime-refused-model"
    assert caught.value.because and "\n" not in caught.value.because


def test_a_kit_for_a_runtime_that_this_runner_lacks_says_so(onnx_kit: Path) -> None:
    kit = Kit.open(onnx_kit)
    kit.manifest = kit.manifest._replace(session=kit.manifest.session._replace(module="abacus_cpu"))
    with pytest.raises(RunnerError, match="'abacus_cpu' is not in this runner"):
        open_session(kit)


def test_a_traced_onnxruntime_session_leaves_kernel_times_and_the_optimized_graph(onnx_kit: Path, tmp_path: Path) -> None:
    kit = Kit.open(onnx_kit)
    session = open_session(kit, batch=1, trace_folder=tmp_path)
    run_checked(session, kit, feed_of(kit, golden_pixels(kit)[:1]))
    session.close()
    events = json.loads((tmp_path / "profile.json").read_text())
    timed = [event for event in events if event["cat"] == "Node" and event["name"].endswith("_kernel_time")]
    assert {"Conv", "Gemm"} <= {event["args"]["op_name"].replace("Fused", "") for event in timed}
    assert onnx.load(tmp_path / "optimized.onnx").graph.node
    assert sorted(path.name for path in tmp_path.iterdir()) == ["optimized.onnx", "profile.json"]


def test_a_traced_openvino_session_leaves_each_layer_with_precision_origin_and_time(openvino_kit: Path, tmp_path: Path) -> None:
    kit = Kit.open(openvino_kit)
    session = open_session(kit, batch=1, trace_folder=tmp_path)
    for _ in range(3):
        run_checked(session, kit, feed_of(kit, golden_pixels(kit)[:1]))
    session.close()
    layers = json.loads((tmp_path / "layers.json").read_text())
    convolution = next(layer for layer in layers if layer["layer_type"] == "Convolution")
    assert convolution["runtime_precision"] == "f32"
    assert "conv0" in convolution["original_names"]
    assert convolution["time_us"] is not None and convolution["time_us"] >= 0
    assert convolution["primitive_type"]
