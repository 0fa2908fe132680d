from __future__ import annotations

import pytest

from edgecnn.training.settings import SCRATCH_IMAGES, default_epochs


@pytest.mark.parametrize("images", [1000, 3000, 3700])
def test_from_scratch_about_the_same_number_of_images_is_shown(images: int) -> None:
    assert default_epochs("scratch", images) * images == pytest.approx(SCRATCH_IMAGES, rel=0.1)


def test_the_extremes_are_bounded() -> None:
    assert default_epochs("scratch", 20) <= 90
    assert default_epochs("scratch", 10**7) >= 8
    assert (default_epochs("finetune", 20), default_epochs("finetune", 10**7)) == (32, 8)
    assert default_epochs("finetune", 3000) == 8
