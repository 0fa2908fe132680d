"""A kit for WebGPU in Chromium, which plays a GPU by software: it answers as it should, as an emulated one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.devices.doctor.trying import SIDE_PX, make_tiny_kit
from edgecnn.errors.base import ExitCode
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.graph.macs import mac_table
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Task
from edgecnn.runner.browser import WITH_GPU
from edgecnn.runner.kit import Kit
from edgecnn.runner.machine.environment import EMULATOR
from edgecnn.runner.sessions.webgpu_browser import open_session
from edgecnn.runtimes.webgpu import BACKEND
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.verdict import Fidelity
from tests.conformance.test_kit_page import page_of, settled
from tests.render.page.browser import chromium
from tests.runtimes.made import Quiet

pytestmark = pytest.mark.full  # needs a browser


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chromium()
    candidate = Candidate(id="webgpu-fp32", runtime=Runtime.WEBGPU, precision=Precision.FP32)
    return make_tiny_kit(candidate, tmp_path_factory.mktemp("webgpu"))


@pytest.fixture
def emulated_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EMULATOR, "SwiftShader")


def test_a_gpu_that_is_played_is_none(kit: Path) -> None:
    with pytest.raises(RunnerFailed) as caught:
        LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=60, tell=Quiet())
    assert caught.value.exit_code is ExitCode.MISSING
    assert caught.value.line().startswith(
        "the browser offers no GPU to pages: all that it offers is software: google swiftshader"
    )


@pytest.mark.usefixtures("by_software")
def test_asked_for_it_answers_as_emulated_and_says_what_ran_where(kit: Path, tmp_path: Path) -> None:
    selftest = LocalHost().run(Task(kit, "selftest", made_here=True), lease_s=60, tell=Quiet())["selftest"]
    assert selftest["logits_difference"] <= 1e-4 < selftest["logits_allowed"]
    feed = {"image": np.zeros((1, 3, SIDE_PX, SIDE_PX), np.float32)}
    session = open_session(Kit.open(kit), {}, tmp_path)
    session.run(feed)
    session.close()
    assert LocalHost().identify().fidelity is Fidelity.EMULATED
    residency = BACKEND.read_residency(tmp_path, mac_table(kit / "model.onnx"))
    assert residency.mac_share == {"fp32": 1.0} and not any("WebAssembly" in layer.op for layer in residency.layers)


@pytest.mark.parametrize(
    ("words", "about", "text"),
    [
        ((), "", "this browser gives its pages no GPU: it has no WebGPU adapter"),
        (WITH_GPU, "fp32 in WebGPU, on software in place of a GPU: google swiftshader.", "Self-test passed: "),
    ],
    ids=["without", "by software"],
)
def test_the_page_says_what_it_runs_on(kit: Path, tmp_path: Path, words: tuple[str, ...], about: str, text: str) -> None:
    with page_of(kit, tmp_path / "profile", *words) as tab:
        assert settled(tab).startswith(text)
        assert str(tab.evaluate("document.getElementById('about').textContent")).startswith(about)
        assert tab.evaluate("document.getElementById('time').disabled") is True, "there is no GPU to time"
        tab.screenshot(tmp_path / "page.png")
