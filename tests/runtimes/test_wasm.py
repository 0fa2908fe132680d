"""What is offered for browsers, where ONNX Runtime Web comes from, and what its words are read as."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import CONVERTER_FAILED
from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.runtimes import onnxruntime_web
from edgecnn.runtimes.onnxruntime_web import FILES, VERSION, is_unpacked, web_files, web_folder
from edgecnn.runtimes.wasm import BACKEND, residency_of
from edgecnn.values.candidate import Candidate, Runtime, Unsupported
from edgecnn.values.layers import LayerMacs, MacTable

NAMES = [name for names in FILES.values() for name in names]
MACS = MacTable(
    resolution_px=8,
    layers=(
        LayerMacs(name="stem", op="Conv", macs=600, outputs=("a",)),
        LayerMacs(name="deep", op="Conv", macs=300, outputs=("b",)),
        LayerMacs(name="head", op="Gemm", macs=100, outputs=("c",)),
    ),
)
STEP = "2026-11-25 16:34:00.886789 [V:onnxruntime:, graph_transformer_mgr.cc:55 ApplyTransformers] Applying graph transformer "
MATCHED = "2026-11-25 16:34:00.886789 [V:onnxruntime:, selector_action_transformer.cc:126 MatchAndProcess] Matched "


def trace(folder: Path, *lines: str, quantized: bool = True) -> Path:
    (folder / "said.json").write_text(json.dumps({"said": lines, "quantized": quantized}))
    return folder


def integer(*kinds: str) -> list[str]:
    """What is said of layers that became integer kernels; the fusion after it matches convolutions too, which says nothing."""
    fused = [f"{STEP}ConvActivationFusion on step 1.", f"{MATCHED}Conv"]
    return [f"{STEP}QDQSelectorActionTransformer on step 1.", *(f"{MATCHED}{kind}" for kind in kinds), *fused]


def test_fp32_and_int8_are_offered_and_halves_refused_with_their_reason() -> None:
    supported = BACKEND.supports(device_named("browser"))
    assert [offer.id for offer in supported if isinstance(offer, Candidate)] == ["wasm-fp32", "wasm-int8"]
    assert all("WebAssembly has no" in offer.why for offer in supported if isinstance(offer, Unsupported))


def test_no_baseline_of_another_runtime_ships_to_a_browser() -> None:
    device = device_named("browser")
    assert [runtime.value for runtime in device.built_for(None)] == ["wasm"]
    assert (
        [runtime.value for runtime in device.may_ship(None)]
        == [runtime.value for runtime in device.may_ship("all")]
        == ["wasm", "webgpu"]
    )


def test_where_every_layer_of_a_kind_was_matched_all_are_int8(tmp_path: Path) -> None:
    residency = residency_of(trace(tmp_path, *integer("Conv", "Conv", "Gemm")), MACS)
    assert residency.mac_share == {"int8": 1.0}
    assert residency.time_share is None and residency.byte_share is None and residency.bytes_absent


def test_where_some_were_matched_which_ones_is_not_known(tmp_path: Path) -> None:
    residency = residency_of(trace(tmp_path, *integer("Conv")), MACS)
    assert residency.mac_share == {"fp32": pytest.approx(0.1), "unknown": pytest.approx(0.9)}


def test_a_float_network_is_float_whatever_was_fused(tmp_path: Path) -> None:
    assert residency_of(trace(tmp_path, *integer(), quantized=False), MACS).mac_share == {"fp32": 1.0}


@pytest.mark.parametrize("text", ["", "[]", '{"said": [], "quantized": true}', '{"said": ["nothing known"], "quantized": true}'])
def test_words_that_name_no_step_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "said.json").write_text(text)
    with pytest.raises(EdgecnnError, check=TRACE_UNREADABLE.made):
        residency_of(tmp_path, MACS)


def archive(path: Path, **files: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as packed:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))


@pytest.fixture
def laid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where somebody without a network lays the archive."""
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("EDGECNN_OFFLINE", "1")
    return web_folder().parent / f"onnxruntime-web-{VERSION}.tgz"


def test_offline_the_place_and_the_command_are_said(laid: Path) -> None:
    with pytest.raises(EdgecnnError, check=CONVERTER_FAILED.made) as caught:
        web_files("wasm-fp32", Runtime.WASM)
    assert str(laid) in caught.value.line() and f"npm pack onnxruntime-web@{VERSION}" in caught.value.line()


def test_another_archive_than_the_published_one_is_refused_and_removed(laid: Path) -> None:
    archive(laid, **dict.fromkeys(NAMES, b"x"))
    with pytest.raises(EdgecnnError, match="SHA-512", check=CONVERTER_FAILED.made):
        web_files("wasm-fp32", Runtime.WASM)
    assert not laid.exists() and not any(map(is_unpacked, FILES))


def test_what_it_holds_is_unpacked_once(laid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(laid, **{name: name.encode() for name in NAMES})
    monkeypatch.setattr(onnxruntime_web, "_SHA512", hashlib.sha512(laid.read_bytes()).hexdigest())
    folder = web_files("wasm-fp32", Runtime.WASM)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: name.encode() for name in NAMES}
    assert web_files("webgpu-fp32", Runtime.WEBGPU) == folder, "and it needs no archive any more"
