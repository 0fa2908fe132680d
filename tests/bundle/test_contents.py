"""Bundles whose hashes are right and whose maker wishes no good: refused before a runtime opens anything."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgecnn.bundle import tensors
from edgecnn.bundle.tensors import fault_of
from tests.bundle.sealed import KIT, KIT_FOLDER, reseal, verified, with_kit
from tests.bundle.test_opening import refusal
from tests.runner.kits import rewrite_manifest

MODEL = f"{KIT_FOLDER}/model.onnx"


def edited(change: Callable[[onnx.ModelProto], object]) -> Callable[[Path], None]:
    def edit(kit: Path) -> None:
        model = onnx.load(kit / "model.onnx")
        change(model)
        (kit / "model.onnx").write_bytes(model.SerializeToString())

    return edit


def external(**said: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in said.items():
            tensor.external_data.add(key=key, value=value)

    return change


def attribute(tensor: onnx.TensorProto) -> Callable[[onnx.ModelProto], None]:
    """A tensor inside a branch of an If, where a glance at the initializers does not see it."""
    inner = helper.make_graph([helper.make_node("Constant", [], ["x"], value=tensor)], "branch", [], [])
    node = helper.make_node("If", ["no"], ["x"], then_branch=inner, else_branch=inner)
    return lambda model: model.graph.node.append(node)


def filled(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("vast", TensorProto.INT64, [2], [1 << 20, 1 << 20]))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["vast"], ["v"], name="grow"))


def filled_by_a_constant(**value: Any) -> Callable[[onnx.ModelProto], None]:
    """Its tensor has no name, or another one than what the node puts out."""

    def change(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("Constant", [], ["vast"], **value))
        model.graph.node.append(helper.make_node("ConstantOfShape", ["vast"], ["v"], name="grow"))

    return change


def sparse(shape: list[int], *, inside: bool = False) -> Callable[[onnx.ModelProto], None]:
    """One number and one place in it, and a shape for all that lies between."""
    values = helper.make_tensor("thin", TensorProto.FLOAT, [1], [1.0])
    tensor = helper.make_sparse_tensor(values, helper.make_tensor("", TensorProto.INT64, [1], [0]), shape)
    node = helper.make_node("Constant", [], ["dense"], sparse_value=tensor)
    return lambda model: model.graph.node.append(node) if inside else model.graph.sparse_initializer.append(tensor)


SHAPE = helper.make_tensor("", TensorProto.INT64, [2], [1 << 20, 1 << 20])
FOUR_BITS = TensorProto(name="q", dims=[5], data_type=TensorProto.INT4, raw_data=b"ab")
HUGE = TensorProto(name="big", dims=[1 << 20, 1 << 20], data_type=TensorProto.FLOAT)


@pytest.mark.parametrize(
    "change, because",
    [
        (external(location="/etc/passwd"), "its tensor 'w0' would be read from '/etc/passwd', which is no file of its kit"),
        (external(location="../../secret"), "its tensor 'w0' would be read from '../../secret', which is no file of its kit"),
        (external(), "its tensor 'w0' would be read from '', which is no file of its kit"),
        (external(location="kit.json"), "its tensor 'w0' would be read from 'kit.json', which is no file of its kit"),
        (
            external(location="golden/card.png", offset="0", length=str(1 << 40)),
            "its tensor 'w0' would be read from beyond the end of golden/card.png",
        ),
        (
            external(location="golden/card.png", offset="-1"),
            "its tensor 'w0' would be read from beyond the end of golden/card.png",
        ),
        (lambda model: model.graph.initializer.append(HUGE), "its tensor 'big' would take 4,398,046,511,104 bytes"),
        (
            lambda model: model.graph.initializer[0].dims.__setitem__(0, -1),
            "its tensor 'w0' has the shape [-1, 3, 3, 3]",
        ),
        (
            lambda model: model.graph.initializer[0].dims.__setitem__(0, 9),
            "its tensor 'w0' would take 972 bytes, and has 864",
        ),
        (
            lambda model: model.graph.initializer.append(TensorProto(name="n", dims=[9], data_type=1, float_data=[1.0])),
            "its tensor 'n' has the shape [9], and 1 numbers",
        ),
        (
            lambda model: setattr(model.graph.initializer[0], "data_type", 99),
            "its tensor 'w0' is of the unknown type 99",
        ),
        (attribute(HUGE), "its tensor 'big' would take 4,398,046,511,104 bytes"),
        (
            filled_by_a_constant(value=SHAPE),
            "its ConstantOfShape 'grow' would make a tensor of the shape [1048576, 1048576]",
        ),
        (
            filled_by_a_constant(value_ints=[1 << 20, 1 << 20]),
            "its ConstantOfShape 'grow' would make a tensor of the shape [1048576, 1048576]",
        ),
        (
            filled_by_a_constant(value_int=1 << 40),
            "its ConstantOfShape 'grow' would make a tensor of the shape [1099511627776]",
        ),
        (sparse([1 << 20, 1 << 20]), "its sparse tensor 'thin' would take 4,398,046,511,104 bytes"),
        (sparse([1 << 20, 1 << 20], inside=True), "its sparse tensor 'thin' would take 4,398,046,511,104 bytes"),
        (sparse([-1]), "its sparse tensor 'thin' has the shape [-1]"),
        (lambda model: model.graph.initializer.append(FOUR_BITS), "its tensor 'q' would take 3 bytes, and has 2"),
        (
            lambda model: model.graph.initializer.append(TensorProto(name="n", dims=[4], data_type=7, float_data=[1, 2, 3, 4])),
            "its tensor 'n' has the shape [4], and 0 numbers",
        ),
        (filled, "its ConstantOfShape 'grow' would make a tensor of the shape [1048576, 1048576]"),
    ],
)
def test_a_model_that_says_what_cannot_be_is_not_opened(
    bundle: Path, change: Callable[[onnx.ModelProto], object], because: str
) -> None:
    assert refusal(with_kit(bundle, edited(change))) == (
        f"{MODEL} is not to be opened: {because} — get it again from where it was built [bundle-model-refused]"
    )


@pytest.mark.parametrize("data_type", [TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1])
@pytest.mark.parametrize("raw", [True, False])
def test_an_odd_number_of_packed_elements_is_no_fault(bundle: Path, data_type: int, raw: bool) -> None:
    tensor = helper.make_tensor("q", data_type, [5], b"abc" if raw else [1, 2, 1, 2, 1], raw=raw)
    assert verified(with_kit(bundle, edited(lambda model: model.graph.initializer.append(tensor)))).contents.kits


def test_weights_in_a_file_of_the_kit_are_no_fault(bundle: Path) -> None:
    def apart(kit: Path) -> None:
        onnx.save(
            onnx.load(kit / "model.onnx"), kit / "model.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
        )

    assert verified(with_kit(bundle, apart)).contents.unchecked == ()


def test_a_model_that_is_none_is_refused(bundle: Path) -> None:
    said = refusal(with_kit(bundle, lambda kit: (kit / "model.onnx").write_bytes(b"\xff" * 99) and None))
    assert said.startswith(f"{MODEL} is not to be opened: it is no ONNX model (")


def test_without_onnx_the_model_is_said_to_be_unread(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "installed_version", lambda _: None)
    assert verified(bundle).facts.warnings[:1] == (f"{MODEL} was not looked into: pip install onnx",)


def described(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    return lambda kit: rewrite_manifest(kit, change)


def renamed(name: str) -> Callable[[Path], None]:
    """The model under another name, which a runtime opens all the same."""

    def rename(kit: Path) -> None:
        (kit / "model.onnx").rename(kit / name)
        rewrite_manifest(kit, lambda facts: facts["model"].update(entry=name, files=[name]))

    return rename


GPU = {"module": "tensorrt_gpu", "options": {}}


@pytest.mark.parametrize(
    "change, because",
    [
        (renamed("model.ONNX"), "model.entry 'model.ONNX' is no .onnx, which is what onnxruntime_cpu opens"),
        (renamed("model"), "model.entry 'model' is no .onnx, which is what onnxruntime_cpu opens"),
        (
            described(lambda facts: facts["model"]["files"].append("golden/card.png")),
            "model.files has 'golden/card.png', and onnxruntime_cpu opens .onnx",
        ),
        (
            described(lambda facts: facts["session"].update(module="openvino_cpu")),
            "model.entry 'model.onnx' is no .xml, which is what openvino_cpu opens",
        ),
        (described(lambda facts: facts["session"].update(module="os")), "its session 'os' is none that a bundle has"),
        (
            described(lambda facts: facts.update(session=GPU, engine={"builder": "tensorrt", "onnx": "/tmp/x.onnx"})),
            "engine.onnx '/tmp/x.onnx' is no .onnx of the kit",
        ),
        (
            described(lambda facts: facts.update(session=GPU, engine={"builder": "evil", "onnx": "model.onnx"})),
            "engine.builder 'evil' is not tensorrt or tensorrt_rtx_bindings",
        ),
    ],
)
def test_a_kit_that_would_open_what_was_not_looked_into_is_refused(
    bundle: Path, change: Callable[[Path], None], because: str
) -> None:
    assert refusal(with_kit(bundle, change)) == (
        f"{KIT_FOLDER}/kit.json is not to be opened: {because} — get it again from where it was built [bundle-model-refused]"
    )


def optioned(module: str, **options: str) -> Callable[[Path], None]:
    return described(lambda facts: facts.update(session={"module": module, "options": options}))


STATISTICS = "session.collect_node_memory_stats_to_file"


@pytest.mark.parametrize(
    "change, because",
    [
        (
            optioned("onnxruntime_cpu", **{STATISTICS: "../../../stats.csv"}),
            f"session option '{STATISTICS}' is not one that onnxruntime_cpu takes",
        ),
        (optioned("openvino_cpu", CACHE_DIR="/tmp/c"), "session option 'CACHE_DIR' is not one that openvino_cpu takes"),
        (optioned("openvino_cpu", WEIGHTS_PATH="/etc"), "session option 'WEIGHTS_PATH' is not one that openvino_cpu takes"),
        (optioned("openvino_cpu", threads="1000000"), "session option threads = '1000000' is not a whole number from 1 to 1024"),
        (optioned("tensorrt_gpu", engine="/tmp/x.plan"), "session option engine = '/tmp/x.plan' leaves the kit"),
        (optioned("tensorrt_gpu", engine="../x.plan"), "session option engine = '../x.plan' leaves the kit"),
    ],
)
def test_a_kit_whose_options_could_write_elsewhere_or_take_the_machine_is_refused(
    bundle: Path, change: Callable[[Path], None], because: str
) -> None:
    change(bundle / KIT_FOLDER)  # its own rewriting would refuse it
    reseal(bundle)
    said = refusal(bundle)
    assert said.startswith(f"{KIT_FOLDER}/kit.json does not fit: {because}"), said


@pytest.mark.parametrize(
    "knobs, because",
    [
        ({STATISTICS: "/tmp/x"}, f"session option '{STATISTICS}' is not one that onnxruntime_cpu takes"),
        ({"threads": "99999"}, "session option threads = '99999' is not a whole number from 1 to 1024"),
    ],
)
def test_a_choice_whose_knobs_could_do_so_is_refused(bundle: Path, knobs: dict[str, str], because: str) -> None:
    choice = json.loads((bundle / "choice.json").read_text())
    choice["kits"][KIT]["knobs"] = knobs
    (bundle / "choice.json").write_text(json.dumps(choice))
    reseal(bundle)
    said = refusal(bundle)
    assert said.startswith(f"choice.json does not fit: {because}"), said


def test_a_kit_of_a_gpu_s_engine_is_none_to_refuse(bundle: Path) -> None:
    engine = {"builder": "tensorrt", "onnx": "model.onnx", "min_version": "10.3"}
    assert verified(with_kit(bundle, described(lambda facts: facts.update(session=GPU, engine=engine)))).contents.kits


def array_file(header: str) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content, because",
    [
        (
            array_file("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 4)}"),
            "it has the shape [99999999999, 4], and 0 bytes",
        ),
        (array_file("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"), "it holds objects, which are code"),
        (b"pickle", "it is no array of NumPy ("),
    ],
)
def test_an_array_that_says_what_cannot_be_is_not_opened(bundle: Path, content: bytes, because: str) -> None:
    said = refusal(with_kit(bundle, lambda kit: (kit / "golden" / "logits.npy").write_bytes(content) and None))
    assert said.startswith(f"{KIT_FOLDER}/golden/logits.npy is not to be opened: {because}")


def ir(**data: str) -> bytes:
    said = " ".join(f'{key}="{value}"' for key, value in data.items())
    return f'<?xml version="1.0"?><net><layers><layer type="Const"><data {said}/></layer></layers></net>'.encode()


@pytest.mark.parametrize(
    "content, because",
    [
        (ir(element_type="f32", shape="2, 3", offset="0", size="24"), ""),
        (
            ir(element_type="f32", shape="2, 3", offset="80", size="24"),
            "a constant of the shape [2, 3] would be read from beyond the 100 bytes of its weights",
        ),
        (
            ir(element_type="f32", shape="1048576, 1048576", offset="0", size="24"),
            "a constant of the shape [1048576, 1048576] would be read from beyond the 100 bytes of its weights",
        ),
        *(
            (
                ir(element_type=kind, shape="50", offset="0", size="8"),
                "a constant of the shape [50] would be read from beyond the 100 bytes of its weights",
            )
            for kind in ("i8", "u8", "boolean", "i4")
        ),
        (ir(element_type="u4", shape="5", offset="0", size="3"), ""),
        (
            ir(element_type="f32", shape="", offset="-8", size="4"),
            "a constant of it says \"{'element_type': 'f32', 'shape': '', 'offset': '-8', 'size': '4'}\"",
        ),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><net/>', "it declares entities, which can grow beyond all bounds"),
        ("<!DOCTYPE x><net/>".encode("utf-16"), "it declares entities, which can grow beyond all bounds"),
    ],
)
def test_an_openvino_model_is_held_against_its_weights(content: bytes, because: str) -> None:
    assert fault_of("model.xml", content, {"model.xml": len(content), "model.bin": 100}).replace('"', "") == because.replace(
        '"', ""
    )


def test_a_real_openvino_model_has_no_fault(whole: Path) -> None:
    openvino = pytest.importorskip("openvino")
    folder = whole.parent / "ir"
    openvino.save_model(openvino.convert_model(whole / MODEL), folder / "model.xml", compress_to_fp16=False)
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sizes["model.bin"] > 800
    assert fault_of("model.xml", (folder / "model.xml").read_bytes(), sizes) == ""
    assert "would be read from beyond the 100 bytes" in fault_of(
        "model.xml", (folder / "model.xml").read_bytes(), {"model.bin": 100}
    )


def test_an_array_of_a_later_format_is_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.zeros((2, 3), np.float32), version=(2, 0))
    assert fault_of("x.npy", stream.getvalue(), {}) == ""


def choice(bundle: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    facts = json.loads((bundle / "choice.json").read_text())
    change(facts)
    (bundle / "choice.json").write_text(json.dumps(facts))
    _seal_files(bundle)
    return bundle


def _seal_files(bundle: Path) -> None:
    """``bundle.json`` alone: ``choice.json`` stays as the test wrote it."""
    kept = (bundle / "choice.json").read_text()
    (bundle / "choice.json").write_text('{"kits": {}}')
    reseal(bundle)
    (bundle / "choice.json").write_text(kept)
    facts = json.loads((bundle / "bundle.json").read_text())
    facts["files"]["choice.json"] = {"sha256": hashlib.sha256(kept.encode()).hexdigest(), "bytes": len(kept.encode())}
    (bundle / "bundle.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    "change, because",
    [
        (lambda facts: facts["choice"].update(candidate="other"), "it chose 'other', and carries no such kit"),
        (lambda facts: facts["choice"].update(candidate=["x"]), "it chose ['x'], and carries no such kit"),
        (lambda facts: facts.update(schema="edgecnn.choice/9"), "its schema is not edgecnn.choice/1"),
        (lambda facts: facts.pop("kits"), "it lacks 'kits'"),
        (lambda facts: facts["kits"].clear(), "it does not name the kits that are there"),
        (lambda facts: facts["kits"]["onnxruntime-fp32"].update(folder="/tmp/evil"), "it does not name the kits that are there"),
    ],
)
def test_a_choice_that_does_not_fit_its_kits_is_refused(
    bundle: Path, change: Callable[[dict[str, Any]], object], because: str
) -> None:
    assert refusal(choice(bundle, change)) == (
        f"choice.json does not fit: {because} — get it again from where it was built [bundle-inconsistent]"
    )


def test_a_choice_that_names_another_kits_digest_is_refused(bundle: Path) -> None:
    said = refusal(choice(bundle, lambda facts: facts["kits"]["onnxruntime-fp32"].update(sha256="0" * 64)))
    assert said.startswith(f"{KIT_FOLDER}/kit.json does not fit: choice.json names another")


def test_a_kit_that_lists_other_files_than_the_bundle_is_refused(bundle: Path) -> None:
    (bundle / KIT_FOLDER / "numpy.py").write_text("import os")
    reseal(bundle)
    said = refusal(bundle)
    assert said.startswith(f"{KIT_FOLDER}/numpy.py does not fit: {KIT_FOLDER}/kit.json and bundle.json differ in it")


def test_a_kit_whose_manifest_is_none_is_refused(bundle: Path) -> None:
    (bundle / KIT_FOLDER / "kit.json").write_text('{"schema": "edgecnn.kit/7"}')
    reseal(bundle)
    assert refusal(bundle).startswith(
        f"{KIT_FOLDER}/kit.json does not fit: kit.json: schema is 'edgecnn.kit/7', and this runner reads 'edgecnn.kit/1'"
    )
