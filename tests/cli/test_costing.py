from __future__ import annotations

import json
from pathlib import Path

import onnx
from jsonschema import Draft202012Validator
from onnx import TensorProto, helper
from typer.testing import CliRunner

from edgecnn.cli.main import app
from tests.house.schemas import FOLDER


def edgecnn(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.stdout, done.stderr


def checked(schema: str, text: str) -> dict[str, object]:
    said: dict[str, object] = json.loads(text)
    Draft202012Validator(json.loads((FOLDER / f"{schema}.json").read_text("utf-8"))).validate(said)
    return said


def test_a_scaled_network_is_costed_without_building_it() -> None:
    code, out, _ = edgecnn("cost", "mobilenet-v3-small", "--scale", "width=0.5,resolution=96", "--json")
    said = checked("cost", out)
    assert code == 0
    assert (said["network"], said["resolution_px"]) == ("mobilenet-v3-small-d1-w0.5", 96)
    assert said["scale"] == "width=0.5,resolution=96"


def test_the_totals_and_the_arithmetic_of_a_layer_are_said() -> None:
    out = edgecnn("cost", "mobilenet-v3-small")[1]
    assert "mobilenet-v3-small at 224 px: 2,542,856 parameters, 56,510,400 multiply-adds" in out
    assert edgecnn("cost", "mobilenet-v3-small", "--explain", "features.0.0")[1].splitlines() == [
        "features.0.0 (Conv)",
        "multiply-adds: 16 × 112 × 112 outputs of 3 × 3 × 3 products each = 5,419,008",
        "parameters: 432 and 32 of the batch norm behind them = 464",
        "output: 16 × 112 × 112 of 4 bytes = 802,816 bytes",
        "receptive field: 1 + (3 − 1) × 1 px a step = 3 px",
    ]


def file_of(folder: Path, op: str) -> Path:
    more = {"equation": "nchw,oc->nohw"} if op == "Einsum" else {}
    node = helper.make_node(op, ["image", "weight"], ["logits"], name="only", **more)
    shape = [4, 3] if op == "Einsum" else [4, 3, 1, 1]
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [helper.make_tensor("weight", TensorProto.FLOAT, shape, [0.0] * 12)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), folder / "a.onnx")
    return folder / "a.onnx"


def test_a_file_is_costed_and_what_nobody_counts_is_said(tmp_path: Path) -> None:
    assert "a.onnx at 8 px: 12 parameters, 768 multiply-adds" in edgecnn("cost", str(file_of(tmp_path, "Conv")))[1]
    assert "not counted: 1 × Einsum" in edgecnn("cost", str(file_of(tmp_path, "Einsum")))[1]


def test_bad_input_is_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    for words, ref in (
        (("cost", "resnet18"), "unknown-arch"),
        (("cost", str(tmp_path / "absent.onnx")), "onnx-file-missing"),
        (("cost", str(tmp_path / "empty.onnx")), "not-an-onnx-model"),
        (("cost", str(tmp_path / "empty.onnx"), "--scale", "phi=1"), "scale-of-a-file"),
        (("cost", "resnet-18", "--scale", "width=0"), "scale-invalid"),
        (("cost", "resnet-18", "--scale", "resolution=16"), "resolution-under-stride"),
        (("cost", "resnet-18", "--explain", "x"), "unknown-layer"),
        (("scale", "--arch", "resnet-18", "--within", "mac=1"), "budget-invalid"),
        (("scale", "--arch", "resnet-18", "--within", "macs=1G", "--plot", "frontier.jpg"), "plot-form-unknown"),
        (("plan", "--onnx", "a.onnx", "--data", "x", "--scale", "phi=1"), "scale-of-a-file"),
        (("plan", "--set", "model.scale=phi=x"), "overrides-invalid"),
    ):
        code, _, err = edgecnn(*words)
        assert (code, len(err.strip().splitlines())) == (2, 1), (words, err)
        assert f"[{ref}]" in err, (words, err)


def test_a_search_is_one_document_of_its_schema_and_is_drawn(tmp_path: Path) -> None:
    plot = tmp_path / "frontier.svg"
    code, out, _ = edgecnn("scale", "--arch", "mobilenet-v3-small", "--within", "macs=8M", "--plot", str(plot), "--json")
    assert code == 0
    assert "mobilenet-v3-small inside macs ≤ 8,000,000" in plot.read_text("utf-8")
    assert checked("scale-search", out)["arch"] == "mobilenet-v3-small"
