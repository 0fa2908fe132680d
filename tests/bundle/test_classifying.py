"""A kit in its sandbox: its crash is one error, and the next image starts another process."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from edgecnn.bundle.classifying import KitProcess
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Task
from tests.bundle.sealed import KIT, KIT_FOLDER
from tests.runner.kits import rewrite_manifest
from tests.store.toys import Ear


@pytest.fixture
def process(bundle: Path) -> KitProcess:
    return KitProcess(bundle / KIT_FOLDER, KIT)


def _continue(pid: int) -> None:
    with suppress(ProcessLookupError):  # a kernel may end a stopped process at once
        os.kill(pid, signal.SIGCONT)


def test_a_crash_is_one_error_that_names_the_kit(bundle: Path, process: KitProcess) -> None:
    image = (bundle / KIT_FOLDER / "golden/card.png").read_bytes()
    before = process.classify(image)
    running = process._sandbox._process
    assert running is not None
    os.kill(running.pid, signal.SIGSTOP)  # it gives no answer before it crashes
    threading.Timer(0.5, os.kill, (running.pid, signal.SIGSEGV)).start()
    threading.Timer(1.0, _continue, (running.pid,)).start()
    with pytest.raises(EdgecnnError) as crashed:
        process.classify(image)
    assert (crashed.value.ref, crashed.value.exit_code) == ("model-crashed", ExitCode.BAD_INPUT)
    assert (crashed.value.fields["signal"], crashed.value.fields["kit"]) == (signal.SIGSEGV, KIT)
    assert process.classify(image).labels == before.labels
    process.close()


@pytest.mark.parametrize("module", ["tensorrt_gpu", "wasm_browser"])
def test_a_kit_from_elsewhere_that_no_sandbox_can_hold_is_refused(bundle: Path, module: str) -> None:
    kit = bundle / KIT_FOLDER
    rewrite_manifest(kit, lambda facts: facts["session"].update(module=module))
    with pytest.raises(EdgecnnError) as refused:
        LocalHost().run(Task(kit, "selftest"), lease_s=60, tell=Ear())
    assert refused.value.ref == "kit-not-sandboxed"


def test_a_kit_from_elsewhere_passes_its_self_test_in_the_sandbox(bundle: Path) -> None:
    assert LocalHost().run(Task(bundle / KIT_FOLDER, "selftest"), lease_s=120, tell=Ear())["selftest"]["files"] > 0


def test_the_code_of_a_kit_from_elsewhere_reads_nothing_outside(bundle: Path, tmp_path: Path) -> None:
    """The kit's runner is a stranger's program."""
    (tmp_path / "canary").write_text("canary")
    kit = bundle / KIT_FOLDER
    program = f"open({str(tmp_path / 'canary')!r}).read()\n"
    (kit / "runner" / "__main__.py").write_text(program)
    with pytest.raises(EdgecnnError) as stopped:
        LocalHost().run(Task(kit, "selftest"), lease_s=60, tell=Ear())
    assert stopped.value.ref == "runner-crashed" and "PermissionError" in stopped.value.line()
