"""The GPU session, up to the point where a GPU is needed: it opens no engine of another network, TensorRT or GPU."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgecnn.runner.engines.record import check_gpu
from edgecnn.runner.kit import Kit
from edgecnn.runner.machine.cudart import Cuda
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.sessions import open_session


def session_refusal(kit: Path, **options: str) -> RunnerError:
    """What opening a session says; an engine made elsewhere lies in ``elsewhere`` of the kit meanwhile: no other is looked at."""
    engine, inside = Path(options.get("engine", "")), kit / "elsewhere"
    try:
        if engine.is_absolute():
            shutil.copytree(engine.parent, inside)
            options["engine"] = f"{inside.name}/{engine.name}"
        with pytest.raises(RunnerError) as caught:
            open_session(Kit.open(kit), options)
    finally:
        shutil.rmtree(inside, ignore_errors=True)
    return caught.value


def test_a_session_without_its_engine_says_how_to_build_it(kit: Path) -> None:
    refused = session_refusal(kit)
    assert (refused.ref, refused.missing) == ("engine-not-built", True)
    assert refused.what == f"{kit}/build/engine.plan: this kit's engine was not built here"
    assert refused.hint == "python3 -m runner build-engine --out build, inside the kit"


def test_an_engine_of_another_network_is_refused(kit: Path, built: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(built, other)
    record = json.loads((other / "build.json").read_text())
    (other / "build.json").write_text(json.dumps(dict(record, network_sha256="0" * 64)))
    assert session_refusal(kit, engine=str(other / "engine-sm86.plan")).ref == "engine-of-another-network"


def test_an_engine_of_another_tensorrt_is_refused(kit: Path, built: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(built, other)
    record = json.loads((other / "build.json").read_text())
    (other / "build.json").write_text(json.dumps(dict(record, version="9.9")))
    refused = session_refusal(kit, engine=str(other / "engine-sm86.plan"))
    assert refused.ref == "engine-of-another-version"
    assert refused.because == f"built by 9.9, this machine has {record['version']}"


def test_an_engine_whose_bytes_changed_never_reaches_tensorrt(kit: Path, built: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(built, other)
    engine = other / "engine-sm86.plan"
    whole = bytearray(engine.read_bytes())
    whole[len(whole) // 2] ^= 1
    engine.write_bytes(bytes(whole))
    refused = session_refusal(kit, engine=str(engine))
    assert refused.ref == "engine-altered"
    assert refused.because == f"its SHA-256 is not the one in {kit / 'elsewhere' / 'build.json'}"


def test_an_engine_that_the_record_does_not_name_was_not_built_here(kit: Path, built: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(built, other)
    (other / "engine-sm86.plan").rename(other / "engine-sm89.plan")
    refused = session_refusal(kit, engine=str(other / "engine-sm89.plan"))
    assert (refused.ref, refused.because) == ("engine-not-built", f"{kit / 'elsewhere' / 'build.json'} does not name it")


def test_an_engine_for_another_gpu_is_told_apart_before_it_is_opened(built: Path) -> None:
    """What a session asks when it has found its GPU; here the GPU is said, since none is needed to compare."""
    record, engine = json.loads((built / "build.json").read_text()), built / "engine-sm86.plan"
    check_gpu(record, engine, "8.6", ["NVIDIA GeForce RTX 3060"])
    with pytest.raises(RunnerError) as refused:
        check_gpu(record, engine, "8.9", ["NVIDIA GeForce RTX 4090"])
    assert refused.value.ref == "engine-of-another-gpu"
    assert refused.value.what == f"{engine}: an engine of another GPU"
    assert refused.value.because == (
        "built for a GPU of compute capability 8.6, this machine has NVIDIA GeForce RTX 4090 of compute capability 8.9"
    )
    assert refused.value.hint == "python3 -m runner build-engine --out build, inside the kit"


def test_an_engine_that_its_own_machine_built_is_held_to_the_model_too() -> None:
    facts = {"file": "engine.plan", "built_for": {"capability": "8.7", "models": ["Orin Nano"]}}
    record = {"engines": [facts]}
    check_gpu(record, Path("engine.plan"), "8.7", ["Orin Nano"])
    check_gpu(record, Path("engine.plan"), "8.7", [])  # a machine that does not name its GPU
    with pytest.raises(RunnerError) as refused:
        check_gpu(record, Path("engine.plan"), "8.7", ["AGX Orin"])
    assert refused.value.because == (
        "built for Orin Nano of compute capability 8.7, this machine has AGX Orin of compute capability 8.7"
    )


def test_an_option_that_nobody_knows_is_refused(kit: Path) -> None:
    assert session_refusal(kit, streams="2").what == "session option 'streams' is not one that tensorrt_gpu takes"


def gpu_is_usable() -> bool:
    try:
        Cuda()
    except RunnerError:
        return False
    return True


@pytest.mark.skipif(gpu_is_usable(), reason="this machine has a GPU")
def test_without_a_gpu_a_session_is_missing_a_device_and_does_not_crash(kit: Path, built: Path) -> None:
    refused = session_refusal(kit, engine=str(built / "engine-sm86.plan"))
    assert refused.ref in ("cuda-runtime-missing", "no-gpu")
    assert refused.missing


def test_a_cuda_library_that_is_nowhere_is_named() -> None:
    with pytest.raises(RunnerError) as refused:
        Cuda(["libcudart-not-there.so"])
    assert refused.value.because == "tried libcudart-not-there.so"
    assert refused.value.missing
