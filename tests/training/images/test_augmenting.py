"""What a list of augmentations does to pictures, and that what is drawn can be drawn again."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from edgecnn.errors.recipes import OverridesInvalid
from edgecnn.planning.recipe import apply_overrides
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training import augment
from edgecnn.training.augment import OPERATIONS, Frame, augmented, draw_epoch, normalized
from edgecnn.training.batches import Batch, mix
from edgecnn.training.settings import default_augmentation
from edgecnn.values import augmentation as kinds
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.recipe import Recipe

SIDE, SIZE = 48, 32
RANDOM = np.random.default_rng(5)
SLOPE = np.linspace(-50, 50, SIDE)[None, :, None, None]
GRAIN = RANDOM.integers(-5, 5, (6, SIDE, SIDE, 3))
PICTURES = np.clip(RANDOM.integers(60, 200, (6, 1, 1, 3)) + SLOPE + GRAIN, 0, 255).astype(np.uint8)


def shown(*augment: Any, seed: int = 3) -> Tensor:
    epoch = draw_epoch(len(PICTURES), seed=seed, augment=augment)
    return augmented(PICTURES, np.arange(len(PICTURES)), epoch, Frame(ImageSize.square(SIZE), ImageSize.square(SIZE)))


def changed(one: Tensor, other: Tensor) -> list[bool]:
    return [not torch.equal(each, same) for each, same in zip(one, other, strict=True)]


def test_without_a_crop_the_centre_is_shown_as_in_use() -> None:
    start = (SIDE - SIZE) // 2
    centre = PICTURES[:, start : start + SIZE, start : start + SIZE].transpose(0, 3, 1, 2)
    assert np.array_equal(shown().numpy(), centre)


def test_a_rectangle_is_cropped_in_its_own_shape() -> None:
    wide = PICTURES[:, :24]
    frame = Frame(ImageSize(16, 40), ImageSize(16, 40))
    plain = augmented(wide, np.arange(6), draw_epoch(6, seed=3, augment=()), frame)
    assert np.array_equal(plain.numpy(), wide[:, 4:20, 4:44].transpose(0, 3, 1, 2))
    whole = draw_epoch(6, seed=3, augment=[kinds.Crop(area=(0.9, 1.0), aspect=1.0)])
    assert augmented(wide, np.arange(6), whole, frame).shape == (6, 3, 16, 40)
    drawn = augmented(wide, np.arange(6), draw_epoch(6, seed=3, augment=[kind() for kind in (kinds.Crop, *OPERATIONS)]), frame)
    assert drawn.shape == (6, 3, 16, 40) and len(set(changed(drawn, plain))) == 1


@pytest.mark.parametrize("kind", sorted({*OPERATIONS, kinds.Crop}, key=lambda each: each.__name__))
def test_bits_do_not_depend_on_how_a_picture_lies_in_memory(kind: type) -> None:
    asked = [kind() if kind is kinds.Crop else kind(p=1.0)]
    epoch, order = draw_epoch(len(PICTURES), seed=3, augment=asked), np.arange(len(PICTURES))
    planar = torch.from_numpy(np.ascontiguousarray(PICTURES.transpose(0, 3, 1, 2)))
    of_planar = [
        augment._augment_image(image, place, epoch, Frame(ImageSize.square(SIZE), ImageSize.square(SIZE)))
        for image, place in zip(planar, order, strict=True)
    ]
    assert torch.equal(
        augmented(PICTURES, order, epoch, Frame(ImageSize.square(SIZE), ImageSize.square(SIZE))), torch.stack(of_planar)
    )


def test_a_batch_is_normalized_to_the_bits_of_the_formula_and_lies_channels_last() -> None:
    pixels, settings = shown(), Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    mean, std = (torch.tensor(values).view(3, 1, 1) * 255 for values in (settings.mean, settings.std))
    threads = torch.get_num_threads()
    found = normalized(pixels, settings)
    assert torch.equal(found, (pixels.float() - mean) / std)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("kind", sorted(OPERATIONS, key=lambda each: each.__name__))
def test_each_kind_changes_pictures_at_probability_1_and_none_at_0(kind: type) -> None:
    strong = {"strength": (1.0, 1.0), "sd": (0.1, 0.1), "magnitude": 25}
    settings = {name: value for name, value in strong.items() if name in kind.model_fields and kind is not kinds.Pca}
    there = shown(kind(p=1.0, **settings))
    assert there.shape == (6, 3, SIZE, SIZE) and there.dtype == torch.uint8
    assert sum(changed(there, shown())) >= 4
    assert not any(changed(shown(kind(p=0.0, **settings)), shown()))


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    every = [kinds.Crop(), *(kind() for kind in OPERATIONS)]
    assert torch.equal(shown(*every), shown(*every))
    assert not torch.equal(shown(*every), shown(*every, seed=4))


def test_drawing_leaves_the_stream_of_dropout_alone() -> None:
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    shown(kinds.Elastic(p=1.0), kinds.Noise(p=1.0), kinds.RandAugment())
    batch = Batch(torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(4))
    mix(batch, draw_epoch(4, seed=1, augment=[kinds.Mixup(), kinds.Cutmix()]), 0, 4)
    assert torch.equal(torch.rand(3), wanted)


def test_geometry_goes_where_it_says() -> None:
    right = shown(kinds.Translate(share=(0.25, 0.25)))
    assert torch.equal(right[:, :, 8:, 8:], shown()[:, :, : SIZE - 8, : SIZE - 8])
    upside_down = shown(kinds.Flip(p=1.0, axis="vertical"))
    assert torch.equal(upside_down, shown().flip(-2))
    half = shown(kinds.Rotate(degrees=(180, 180)))
    assert (half.int() - shown().flip(-1, -2).int()).abs().max() <= 1


def warped(levels: npt.NDArray[np.float64], kind: Any) -> npt.NDArray[np.float64]:
    """A grey picture (H, H) of these levels, as one augmentation shows it."""
    picture = np.repeat(levels.round().astype(np.uint8)[None, :, :, None], 3, axis=3)
    epoch = draw_epoch(1, seed=3, augment=[kind])
    return (
        augmented(picture, np.arange(1), epoch, Frame(ImageSize.square(len(levels)), ImageSize.square(len(levels))))[0, 0]
        .double()
        .numpy()
    )


POSITIONS = np.linspace(-1, 1, 65)
ACROSS, DOWN = np.meshgrid(POSITIONS, POSITIONS)
RADIUS = np.hypot(ACROSS, DOWN)


def test_a_shear_pushes_each_row_by_its_distance_from_the_centre() -> None:
    line = np.where(np.abs(ACROSS) < 0.02, 255.0, 0.0)
    places = warped(line, kinds.Shear(degrees=(45, 45))).argmax(1) - 32
    assert np.abs(np.abs(places) - np.abs(np.arange(65) - 32)).max() <= 1
    assert places[0] * places[-1] < 0


def test_a_stretch_enlarges_around_the_centre() -> None:
    disc = np.where(RADIUS < 0.3, 255.0, 0.0)
    found = warped(disc, kinds.Stretch(factor=(2, 2))) > 127
    assert (found != (RADIUS < 0.6)).mean() < 0.02
    assert (warped(disc, kinds.Stretch(factor=(0.5, 0.5))) > 127).sum() == pytest.approx((RADIUS < 0.15).sum(), rel=0.15)


@pytest.mark.parametrize("k", [0.2, -0.2])
def test_a_lens_takes_each_point_from_where_its_formula_says(k: float) -> None:
    found = warped(RADIUS * 100, kinds.Lens(p=1.0, k=(k, k)))
    taken_from = RADIUS * (1 + k * RADIUS**2)
    inside = (np.maximum(np.abs(ACROSS), np.abs(DOWN)) * (1 + abs(k) * RADIUS**2)) < 0.95
    assert np.abs(found - taken_from * 100)[inside].max() < 3


def test_a_warping_moves_points_by_some_hundredths_of_the_side_and_neighbours_alike() -> None:
    slope = (ACROSS + 1) * 100  # a hundredth of the side is two levels
    moved = (warped(slope, kinds.Elastic(p=1.0, strength=(1, 1))) - slope.round())[4:-4, 4:-4] / 200
    assert 0.002 < np.abs(moved).mean() < np.abs(moved).max() < 0.03
    assert np.abs(np.diff(moved, axis=0)).mean() < np.abs(moved).mean() / 2


def test_colour_and_noise_keep_to_their_ranges() -> None:
    brighter = shown(kinds.Colour(brightness=(1.2, 1.2), contrast=(1, 1), saturation=(1, 1)))
    assert (brighter.float() - (shown().float() * 1.2).clamp(max=255)).abs().max() <= 1
    noise = shown(kinds.Noise(p=1.0, sd=(0.02, 0.02))).float() - shown().float()
    assert noise.std() == pytest.approx(0.02 * 255, rel=0.1)
    shifts = shown(kinds.Pca(sd=0.5)).float() - shown().float()
    assert shifts.std(dim=(2, 3)).max() < 1, "one shift for the whole picture"


def test_cutout_covers_the_share_it_drew() -> None:
    cut = (shown(kinds.Cutout(p=1.0, area=(0.25, 0.25), aspect=1.0)) != shown()).any(1).float().mean(dim=(1, 2))
    assert cut.mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("kind", [kinds.Mixup, kinds.Cutmix])
def test_mixing_mixes_labels_as_it_mixes_pictures(kind: Any) -> None:
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 16, 16).contiguous()
    epoch = draw_epoch(4, seed=2, augment=[kind(alpha=1.0)])
    batch = mix(Batch(images, torch.arange(4)), epoch, 0, 4)
    shares = batch.labels @ torch.arange(4.0)
    assert torch.allclose(batch.images.mean(dim=(1, 2, 3)), shares, atol=1e-5)
    assert (batch.labels.sum(1) == 1).all() and (batch.labels > 0).sum() == 8


def test_a_batch_of_one_has_nothing_to_be_mixed_with() -> None:
    epoch = draw_epoch(1, seed=2, augment=[kinds.Mixup()])
    batch = Batch(torch.rand(1, 3, 8, 8), torch.tensor([0]))
    assert mix(batch, epoch, 0, 4) is not None and mix(batch, epoch, 0, 4).labels.dtype == torch.int64


def test_mirror_images_are_shown_as_often_as_the_list_says() -> None:
    assert kinds.mirrored_share(default_augmentation("finetune")) == 0.5
    assert kinds.mirrored_share([kinds.Rotate()]) == 0
    assert kinds.mirrored_share([kinds.Flip(p=1.0)]) == 1
    assert kinds.mirrored_share([kinds.Flip(p=1.0), kinds.Flip(p=1.0)]) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{kind='spin'}]", "train.augment.0 is not one of 'crop', 'flip'"),
        ("[{kind='rotate', degrees=[10, -10]}]", "train.augment.0.rotate.degrees: a range needs its smaller"),
        ("[{kind='flip', p=2}]", "train.augment.0.flip.p must be at most 1.0, not 2"),
        ("[{kind='flip', axes='x'}]", "train.augment.0.flip.axes is not a key"),
        ("[{kind='crop'}, {kind='crop'}]", "train.augment: a list may hold one crop"),
        ("'flip'", "train.augment must be an array"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_meant_is_refused_by_its_place(text: str, said: str) -> None:
    with pytest.raises(OverridesInvalid) as refusal:
        apply_overrides(Recipe(), [f"train.augment={text}"])
    assert said in refusal.value.line()


def test_an_empty_list_is_no_augmentation() -> None:
    assert apply_overrides(Recipe(), ["train.augment=[]"]).train.augment == ()
