"""What `edgecnn plan` prints of a device's runtimes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.building.build import PlannedBuild
from edgecnn.devices.files import device_named
from edgecnn.judging.gates import EffectiveGates
from edgecnn.planning.plan import plan
from edgecnn.render.screens.planning import show_plan
from edgecnn.values.recipe import TargetChoice
from tests.building.resolutions import resolved


@pytest.mark.parametrize(
    ("device", "runtime", "lines"),
    [
        ("raspberry-pi-5", None, ["openvino (--target raspberry-pi-5:openvino, or raspberry-pi-5:all)"]),
        ("raspberry-pi-5", "litert", []),
        ("raspberry-pi-4", None, []),
    ],
)
def test_a_plan_names_the_runtimes_that_it_does_not_build_by_default(
    device: str, runtime: str | None, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = resolved().asked.model_copy(update={"target": TargetChoice.model_validate({"device": device, "runtime": runtime})})
    planned = plan(resolved(recipe, device=device_named(device)))
    show_plan(PlannedBuild(plan=planned, steps=(), gates=EffectiveGates(gates=()), test_set="", out=Path("out")))
    begins = "not built unless the target names it: "
    assert [line.removeprefix(begins) for line in capsys.readouterr().out.splitlines() if line.startswith(begins)] == lines
