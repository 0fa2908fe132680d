"""Which settings each runtime thinks worth racing, and that none of them changes what a kit answers."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from edgecnn.devices.files import device_named
from edgecnn.runner.feeds import feed_of, run_checked
from edgecnn.runner.golden import golden_pixels, selftest
from edgecnn.runner.kit import Kit
from edgecnn.runner.sessions import check_knobs, open_session
from edgecnn.runtimes.registry import all_backends, backend_for
from edgecnn.values.candidate import DEFAULT, Candidate, Knobs, Precision, Runtime
from edgecnn.values.device import Device
from tests.runner.kits import make_kit

MOST = 5


def cpu_of_cores(cores: int | None) -> Device:
    device = device_named("cpu")
    return device.model_copy(update={"processor": device.processor.model_copy(update={"cores": cores})})


def offered(runtime: Runtime, cores: int | None = 4) -> tuple[Knobs, ...]:
    candidate = Candidate(id=f"{runtime.value}-fp32", runtime=runtime, precision=Precision.FP32)
    return backend_for(runtime).knobs(cpu_of_cores(cores), candidate)


@pytest.mark.parametrize("runtime", [backend.runtime for backend in all_backends()])
def test_the_default_comes_first_and_few_others_follow(runtime: Runtime) -> None:
    settings = offered(runtime)
    assert settings[0] == DEFAULT
    assert len(set(settings)) == len(settings) <= MOST


@pytest.mark.parametrize("runtime", [Runtime.ONNXRUNTIME, Runtime.OPENVINO])
def test_every_setting_is_made_of_what_the_session_counts_among_its_knobs(runtime: Runtime) -> None:
    session = import_module(f"edgecnn.runner.sessions.{backend_for(runtime).session_module}")
    for setting in offered(runtime):
        assert set(setting.options) <= set(session.KNOBS)


@pytest.mark.parametrize("runtime", [Runtime.ONNXRUNTIME, Runtime.OPENVINO])
@pytest.mark.parametrize(("cores", "fewer"), [(None, None), (1, None), (2, 1), (4, 2), (5, 2)])
def test_half_the_cores_are_tried_where_there_are_two_or_more(runtime: Runtime, cores: int | None, fewer: int | None) -> None:
    threads = [setting.threads for setting in offered(runtime, cores) if setting.threads]
    assert threads == ([] if fewer is None else [fewer])


@pytest.mark.parametrize("runtime", [Runtime.ONNXRUNTIME, Runtime.OPENVINO])
def test_no_setting_changes_answers_beyond_the_kit_s_own_tolerance(tmp_path: Path, runtime: Runtime) -> None:
    """On a network that is deep enough for the order of sums to matter."""
    kit = Kit.open(make_kit(tmp_path, runtime.value, width=32, depth=6))
    expected = np.load(kit.folder / "golden/logits.npy")
    allowed = kit.manifest.golden.logits_tolerance * float(expected.max() - expected.min())
    for setting in offered(runtime):
        check_knobs(kit, setting.options)
        session = open_session(kit, setting.options, batch=2)
        answers = run_checked(session, kit, feed_of(kit, golden_pixels(kit)))
        session.close()
        np.testing.assert_allclose(answers, expected, atol=allowed, err_msg=setting.words)
        assert selftest(kit, setting.options)["knobs"] == setting.options
