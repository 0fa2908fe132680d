"""`edgecnn forecast`: its table, its JSON, and one line for what cannot be asked."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from edgecnn.values.forecast import MARK
from tests.cli.test_usage import edgecnn
from tests.house.source_tree import ROOT


def test_every_figure_has_its_mark_and_its_source() -> None:
    shown = edgecnn("forecast", "--arch", "resnet-18", "--target", "raspberry-pi-5", "--no-timing").stdout
    row = next(line for line in shown.splitlines() if "ncnn-fp16" in line)
    assert row.count(MARK) == 2
    assert "[1] ncnn, benchmark/README.md" in shown
    assert "[1] raspberry-pi-5: Raspberry Pi 5" in shown
    assert "no forecast: no public table has onnxruntime on raspberry-pi-5" in shown


def test_the_json_is_as_its_schema_says() -> None:
    words = ("--arch", "resnet-18", "--arch", "resnet-34", "--target", "raspberry-pi-5", "--target", "rk3588", "--no-timing")
    document = json.loads(edgecnn("forecast", *words, "--json").stdout)
    jsonschema.validate(document, json.loads((ROOT / "docs" / "schemas" / "forecast.json").read_text()))
    assert {row["fidelity"] for row in document["forecasts"]} == {"predicted"}
    assert {(row["network"], row["device"]) for row in document["forecasts"]} == {
        (network, device) for network in ("resnet-18", "resnet-34") for device in ("raspberry-pi-5", "rk3588")
    }


@pytest.mark.parametrize(
    ("words", "reference"),
    [
        (("--arch", "resnet-18", "--target", "intel-n100"), "nothing-forecast"),
        (("--arch", "resnet-18", "--target", "raspberry-pi-5", "--threads", "64"), "nothing-forecast"),
        (("--arch", "lenet-5", "--target", "raspberry-pi-5"), "nothing-forecast"),
        (("--arch", "resnet-18", "--target", "raspbery-pi-5"), "unknown-device"),
        (("--arch", "resnet-18", "--target", "raspberry-pi-5:int8"), "unknown-runtime"),
        (("--arch", "resnet-18", "--target", "raspberry-pi-3:foo"), "unknown-runtime"),
        (("--arch", "resnet-18", "--target", "raspberry-pi-5:tensorrt"), "nothing-forecast"),
        (("resnet-18",), "network-without-option"),
        (("--arch", "resnet-19"), "unknown-arch"),
        (("--model", "absent.onnx"), "custom-file-missing"),
        ((), "missing-argument"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(words: tuple[str, ...], reference: str) -> None:
    done = edgecnn("forecast", *words, "--no-timing")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"[{reference}]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_device_without_a_table_is_a_row_beside_others() -> None:
    done = edgecnn("forecast", "--arch", "resnet-18", "--target", "raspberry-pi-5", "--target", "intel-n100", "--no-timing")
    assert done.returncode == 0
    assert "no forecast: no public table has intel-n100" in done.stdout


def test_a_file_of_one_s_own_is_forecast(tmp_path: Path) -> None:
    onnx = ROOT / "edgecnn" / "devices" / "doctor" / "tiny.onnx"
    done = edgecnn("forecast", "--model", str(onnx), "--target", "raspberry-pi-5", "--no-timing")
    assert (done.returncode, "[nothing-forecast]" in done.stderr) == (2, True)  # it is far smaller than every published network


def test_a_runtime_of_a_target_filters_the_rows() -> None:
    done = edgecnn("forecast", "--arch", "resnet-18", "--target", "raspberry-pi-5:ncnn", "--no-timing", "--json")
    document = json.loads(done.stdout)
    assert {row["runtime"] for row in document["forecasts"]} == {"ncnn"}
    assert document["without"] == []
