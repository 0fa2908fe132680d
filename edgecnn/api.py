"""The library's one call: build, write the results, return the report."""

from __future__ import annotations

from pathlib import Path

from edgecnn.building.build import run_build
from edgecnn.building.devices import settled_target
from edgecnn.building.request import BuildRequest
from edgecnn.render.markdown import report_markdown
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.values.device import Device
from edgecnn.values.recipe import Recipe
from edgecnn.values.report import BuildReport
from edgecnn.values.stage import Progress


def build(
    recipe: Recipe, device: Device | str | None = None, *, out: Path | str | None = None, tell: Progress | None = None
) -> BuildReport:
    """Run the whole pipeline for one recipe and one device.

    Args:
        recipe: the user's choices.
        device: a device, or ``NAME`` or ``NAME:RUNTIME``; unset, the one that the recipe names.
        out: folder of the results; unset, ``builds/<arch>-<device>``.
        tell: hears progress; unset, nobody does.

    Returns:
        The report, as it stands in ``report.json``.

    Raises:
        EdgecnnError: a named failure; everything finished before it is kept and reused.
    """
    settled, chosen = _device(recipe, device)
    folder = Path(out) if out is not None else Path("builds") / f"{settled.model.arch}-{chosen.name}"
    return build_and_write(BuildRequest(recipe=settled, device=chosen, out=folder), tell or Quiet())


def build_and_write(request: BuildRequest, tell: Progress) -> BuildReport:
    """Build as asked, with ``report.md`` beside ``report.json``."""
    return run_build(request, Store.open(), tell, {"report.md": report_markdown})


def _device(recipe: Recipe, device: Device | str | None) -> tuple[Recipe, Device]:
    if isinstance(device, Device):
        return recipe.model_copy(update={"target": recipe.target.model_copy(update={"device": device.name})}), device
    chosen, runtime = settled_target(recipe.target, device)
    return recipe.model_copy(
        update={"target": recipe.target.model_copy(update={"device": chosen.name, "runtime": runtime})}
    ), chosen
