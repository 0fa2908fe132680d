"""A device file that leaves the processor to the machine is no leave to file another processor's figures under its name."""

from __future__ import annotations

import json
import platform

from edgecnn.errors.building import BENCH_PROCESSOR_DIFFERS
from edgecnn.runner.machine.environment import read_conditions
from tests.building.builds import Place


def came_from(built: Place, architecture: str, isa: str) -> None:
    """Let the build have been made on another machine."""
    file = built.out / "report.json"
    report = json.loads(file.read_text())
    report["environment"]["observed"]["architecture"] = architecture
    report["environment"]["conditions"]["isa"] = isa
    file.write_text(json.dumps(report))


def test_a_build_for_this_machine_is_not_measured_on_another_processor(built: Place) -> None:
    came_from(built, "aarch64", "neon sve2")
    before = (built.out / "report.json").read_bytes()
    done = built.plain("bench", "out")
    here = f"{platform.machine()} with {read_conditions()['isa']}"
    then = {"folder": "out", "device": "cpu", "built_for": "aarch64 with neon sve2"}
    line = BENCH_PROCESSOR_DIFFERS(**then, machine="this machine", here=here).line()
    assert (done.returncode, done.stderr.strip().splitlines()[-1]) == (
        2,
        f"edgecnn: error: {line}",
    )
    assert (built.out / "report.json").read_bytes() == before


def test_other_instructions_alone_are_another_processor_too(built: Place) -> None:
    came_from(built, platform.machine(), "none-of-this-machine-s")
    assert built.plain("bench", "out").stderr.strip().endswith("[bench-processor-differs]")
