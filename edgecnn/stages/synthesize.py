"""synthesize: cut-outs laid on backgrounds become training images, each with the record of what it was composed of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from edgecnn.values.stage import Progress, Role, Stage
from edgecnn.values.synthesis import SynthesisSettings


class SynthesizeStage(Stage, SynthesisSettings):
    """Writes ``images/LABEL/NUMBER.png`` and ``synthesis.json`` (see ``values/synthesis.py``).

    Roles: ``cutouts`` and ``backgrounds``, manifests whose content is their key. No image of it has another role than ``train``.
    """

    kind: ClassVar[str] = "synthesize"
    revision: ClassVar[int] = 2

    @property
    def tools(self) -> tuple[str, ...]:
        """Pillow decodes, resizes, turns, blurs and writes."""
        return ("pillow",)

    def make(self, input_paths: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        """Compose every picture.

        Raises:
            CUTOUTS_UNUSABLE: files among the cut-outs cannot be decoded, or hide nothing of what is behind them.
            CorruptImages: a background cannot be decoded to its end.
            IMAGE_GONE, IMAGE_CHANGED: a folder changed since it was listed.
        """
        from edgecnn.data.composing import make_images

        make_images(self, input_paths["cutouts"], input_paths["backgrounds"], out, tell)
