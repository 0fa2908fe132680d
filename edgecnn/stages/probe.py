"""probe: a network that learned nothing, with images that were drawn, so that its kits can be timed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import PositiveInt

from edgecnn.backends.installed import require_packages
from edgecnn.models.catalogue import libraries_of
from edgecnn.values.dataset import Preprocessing
from edgecnn.values.stage import Progress, Role, Stage

_MAKES = ("numpy", "pillow", "safetensors", "torch", "torchvision")


class ProbeStage(Stage):
    """Writes what ``train`` and ``prepare`` leave: export and quantize take it in the place of both. Reads nothing."""

    kind: ClassVar[str] = "probe"
    revision: ClassVar[int] = 1

    arch: str
    classes: PositiveInt
    preprocessing: Preprocessing
    images: PositiveInt = 8
    """Drawn ones: ranges of INT8 decide what a network answers, and not how long it takes."""

    @property
    def tools(self) -> tuple[str, ...]:
        """The network's source, and what draws and writes."""
        return (*_MAKES, *libraries_of(self.arch))

    def make(self, given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Draw the images and write the weights. Raises MissingPackage: torch is not installed."""
        require_packages(_MAKES, extra="train", needed_for="a latency table")
        from edgecnn.models.catalogue import arch_named
        from edgecnn.training.untrained import make_untrained

        make_untrained(arch_named(self.arch), self.classes, self.preprocessing, self.images, out)
