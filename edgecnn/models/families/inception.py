"""GoogLeNet and Inception-v3 as torchvision builds them, with their auxiliary heads for training and without when they answer.

torchvision turns pixels normalized its way into -1…1 inside these two; here the rows say -1…1 at once, so that nothing is undone
in the network that ships.

- C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, arXiv:1409.4842, section 5: two heads, weight 0.3.
- C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, arXiv:1512.00567, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torchvision.models.inception import BasicConv2d, InceptionA, InceptionAux, InceptionB, InceptionC, InceptionD, InceptionE

AUXILIARY_MAPS = 17
"""Side of the maps that Inception-v3's auxiliary head reads at 299 pixels: its mean of 5×5 by 3 and its 5×5 leave one place."""


class LargeEnoughAux(InceptionAux):  # type: ignore[misc]
    """The auxiliary head where the maps are large enough for it, and no second answer where the images are small."""

    def forward(self, image: Tensor) -> Tensor | None:
        """(N, 768, H, W) float → (N, classes) float logits, or None below 17×17."""
        if min(image.shape[-2:]) < AUXILIARY_MAPS:
            return None
        answer: Tensor = super().forward(image)
        return answer


_OWN: Mapping[str, Any] = {"aux_logits": True, "transform_input": False, "init_weights": True}
_BLOCKS = [BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, LargeEnoughAux]
OPTIONS: Mapping[str, Mapping[str, Any]] = {"googlenet": _OWN, "inception_v3": {**_OWN, "inception_blocks": _BLOCKS}}
"""torchvision's builder to how it is called here: with all its auxiliary heads."""
