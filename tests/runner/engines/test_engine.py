"""build-engine by the real builder: what it leaves, and what it refuses and why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest

from edgecnn.runner.engines import builder
from edgecnn.runner.engines.builder import MessageLog, Order, import_builder, keep_cache, read_cache
from edgecnn.runner.engines.engine import BuildRequest, build_engines, engine_name
from edgecnn.runner.files import sha256_of
from edgecnn.runner.messages import RunnerError
from tests.runner.engine_kits import FP16, INT8, RTX, engine_kit, made
from tests.runner.engines.conftest import NETWORK
from tests.runner.kits import make_kit
from tests.runner.model_files.test_onnx_files import weights_elsewhere
from tests.runtimes.misread import activations_as_uint8, shift_activations


def refusal(kit: Path, out: Path, package: str | None = RTX, *capabilities: str) -> RunnerError:
    with pytest.raises(RunnerError) as refused:
        build_engines(kit, out, BuildRequest(package, capabilities))
    assert not list(out.glob("*.plan"))
    assert not (out / "build.json").exists()
    return refused.value


def test_the_record_names_network_builder_gpu_and_engine(kit: Path, built: Path) -> None:
    record = json.loads((built / "build.json").read_text())
    engine = built / "engine-sm86.plan"
    assert record["network_sha256"] == sha256_of(kit / "model.onnx")
    assert record["package"] == RTX
    assert record["version"]
    assert record["batch_max"] == 64
    assert record["engines"] == [
        {
            "file": engine.name,
            "capability": "8.6",
            "bytes": engine.stat().st_size,
            "sha256": sha256_of(engine),
            "seconds": record["engines"][0]["seconds"],
            "built_for": {"capability": "8.6"},
            "timing_cache": None,
        }
    ]
    assert record["address_randomization"] in ("on", "off")
    assert sum(warning["times"] for warning in record["warnings"]) == (built / "build.log").read_text().count("[WARNING]")


def test_the_log_holds_all_that_the_builder_said(built: Path) -> None:
    log = (built / "build.log").read_text()
    assert log.startswith("== engine-sm86.plan for 8.6\n")
    assert "[VERBOSE] Layers:" in log
    assert sorted(path.name for path in built.iterdir()) == ["build.json", "build.log", "engine-sm86.plan"]


def test_uint8_at_zero_point_0_is_an_error_although_the_builder_only_warns(tmp_path: Path) -> None:
    onnx.save(activations_as_uint8(onnx.load(made(NETWORK, INT8) / "model.onnx")), tmp_path / "misread.onnx")
    kit = engine_kit(tmp_path / "kit", NETWORK, INT8, onnx=tmp_path / "misread.onnx")
    refused = refusal(kit, tmp_path / "out", RTX, "8.6")
    assert refused.ref == "uint8-read-as-int8"
    assert refused.because is not None
    assert "Defaulting to INT8 instead" in refused.because
    assert "[WARNING]" in (tmp_path / "out" / "build.log").read_text()


def test_a_file_that_does_not_parse_is_named_with_node_and_operator(tmp_path: Path) -> None:
    onnx.save(shift_activations(onnx.load(made(NETWORK, INT8) / "model.onnx")), tmp_path / "shifted.onnx")
    kit = engine_kit(tmp_path / "kit", NETWORK, INT8, onnx=tmp_path / "shifted.onnx")
    refused = refusal(kit, tmp_path / "out", RTX, "8.6")
    assert refused.ref == "engine-parse-failed"
    assert refused.what == f"model.onnx: {RTX} cannot read it"
    assert refused.because is not None
    assert refused.because.startswith(
        "node image_QuantizeLinear (QuantizeLinear): INVALID_NODE, Assertion failed: shiftIsAllZeros"
    )


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.onnx").write_bytes((made(NETWORK, FP16) / "model.onnx").read_bytes()[:5000])
    kit = engine_kit(tmp_path / "kit", NETWORK, FP16, onnx=tmp_path / "short.onnx")
    assert refusal(kit, tmp_path / "out", RTX, "8.6").ref == "model-refused"


def test_a_network_that_reads_another_file_is_refused_before_the_builder_starts(tmp_path: Path) -> None:
    onnx.save(weights_elsewhere("initializer", "/etc/passwd"), tmp_path / "apart.onnx")
    kit = engine_kit(tmp_path / "kit", NETWORK, FP16, onnx=tmp_path / "apart.onnx")
    refused = refusal(kit, tmp_path / "out", RTX, "8.6")
    assert (refused.ref, (tmp_path / "out").exists()) == ("model-refused", False)


def test_a_builder_that_is_not_there_is_missing_and_not_bad_input(kit: Path, tmp_path: Path) -> None:
    refused = refusal(kit, tmp_path, "tensorrt_that_is_not_there")
    assert (refused.ref, refused.missing) == ("builder-missing", True)


def test_the_kit_s_own_builder_is_asked_for_first(kit: Path, tmp_path: Path) -> None:
    try:
        import_builder("tensorrt", None)
    except RunnerError:
        assert refusal(kit, tmp_path, None).what.startswith("the builder tensorrt cannot be imported by ")
    else:
        pytest.skip("tensorrt itself is installed here")


def test_a_builder_older_than_the_kit_needs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        __version__ = "8.6.2.3"

    monkeypatch.setitem(__import__("sys").modules, "tensorrt", Old)
    with pytest.raises(RunnerError) as refused:
        import_builder("tensorrt", "10.3")
    assert refused.value.ref == "builder-too-old"
    assert refused.value.what == "tensorrt 8.6.2.3 is older than 10.3, which this kit's network needs"


def test_a_builder_for_this_machine_only_takes_no_capability() -> None:
    order = Order("tensorrt", "model.onnx", "e", "l", "8.7", 64, None)
    with pytest.raises(RunnerError) as refused:
        builder._set_target_gpu(object(), order, object())
    assert refused.value.what == "tensorrt builds for the GPU of this machine only, not for 8.7"


def test_a_builder_that_dies_is_told_from_one_that_refuses(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "path" / "dying_builder.py"
    package.parent.mkdir()
    package.write_text("import os, sys\nsys.stderr.write('segfault follows\\n')\nsys.stderr.flush()\nos.kill(os.getpid(), 11)\n")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    refused = refusal(kit, tmp_path / "out", "dying_builder")
    assert refused.ref == "builder-died"
    assert refused.what == "dying_builder ended by signal 11 while it built engine.plan"
    assert refused.because == "segfault follows"


def test_a_kit_that_runs_as_it_is_has_no_engine(tmp_path: Path) -> None:
    assert refusal(make_kit(tmp_path), tmp_path / "out").what == "small runs without an engine"


def test_engines_are_named_after_their_gpu() -> None:
    assert [engine_name(capability) for capability in (None, "8.6", "12.0")] == [
        "engine.plan",
        "engine-sm86.plan",
        "engine-sm120.plan",
    ]


def test_what_the_builder_says_is_kept_by_severity(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        messages = MessageLog(file)
        for severity, text in (("VERBOSE", "a"), ("WARNING", "b"), ("ERROR", "c\n d"), ("INTERNAL_ERROR", "e")):
            messages.keep(severity, text)
    assert (messages.warnings, messages.errors, messages.last_error()) == (["b"], ["c\n d", "e"], "e")
    assert (tmp_path / "log").read_text() == "[VERBOSE] a\n[WARNING] b\n[ERROR] c\n d\n[INTERNAL_ERROR] e\n"


def test_the_engine_takes_one_image_to_as_many_as_the_kit_says(built: Path) -> None:
    """The optimization profile, as the builder itself lists it."""
    log = (built / "build.log").read_text()
    assert "MinShape: [1,3,64,64], OptShape: [1,3,64,64], MaxShape: [64,3,64,64]" in log
    assert json.loads((built / "build.json").read_text())["batch_max"] == 64


def test_a_timing_cache_is_begun_from_only_where_it_is_what_the_last_build_left(kit: Path, tmp_path: Path) -> None:
    cache = tmp_path / "measured.cache"
    request = BuildRequest(RTX, ["8.6"], cache)
    first = build_engines(kit, tmp_path / "first", request)["engines"][0]["timing_cache"]
    assert first == {"begun_from_sha256": None, "sha256": sha256_of(cache), "bytes": cache.stat().st_size}
    second = build_engines(kit, tmp_path / "second", request)["engines"][0]["timing_cache"]
    assert second["begun_from_sha256"] == first["sha256"]
    cache.write_bytes(cache.read_bytes() + b"x")
    with pytest.raises(RunnerError) as refused:
        build_engines(kit, tmp_path / "third", request)
    assert refused.value.ref == "timing-cache-altered"
    assert refused.value.because == "its SHA-256 is not the one in measured.cache.json"
    assert not list((tmp_path / "third").glob("*.plan"))


def test_a_timing_cache_of_another_builder_is_refused(tmp_path: Path) -> None:
    cache = tmp_path / "c"
    assert read_cache(cache, "tensorrt", "10.3.0") == b""
    keep_cache(cache, b"measured", "tensorrt", "10.3.0")
    assert read_cache(cache, "tensorrt", "10.3.0") == b"measured"
    with pytest.raises(RunnerError) as refused:
        read_cache(cache, "tensorrt", "10.7.0")
    assert refused.value.because == "left by tensorrt 10.3.0, this is tensorrt 10.7.0"
    cache.unlink()
    with pytest.raises(RunnerError) as refused:
        read_cache(cache, "tensorrt", "10.3.0")
    assert (refused.value.ref, refused.value.because) == ("timing-cache-altered", f"{cache} is missing")


def test_a_weakly_typed_network_is_refused_by_a_builder_that_has_no_flags(kit: Path, tmp_path: Path) -> None:
    weak = Path(shutil.copytree(kit, tmp_path / "weak"))
    manifest = json.loads((weak / "kit.json").read_text())
    manifest["engine"]["flags"] = ["FP16", "INT8"]
    (weak / "kit.json").write_text(json.dumps(manifest))
    error = refusal(weak, tmp_path / "out")
    assert (error.ref, error.missing) == ("builder-types-strongly", True)
    assert error.because == "it has no builder flags FP16, INT8"
