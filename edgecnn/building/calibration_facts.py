"""The calibration images of a build as its report has them, and the sentences where INT8 ranges may not fit other images."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.building.assemble import Scene
from edgecnn.judging.channel_shift import LEAST_IMAGES, channel_shifts
from edgecnn.values.calibration import CalibrationFacts, ChannelShift
from edgecnn.values.candidate import Method

CHOOSE_AT_MOST = 2000
"""Images of ``choose`` that are looked at, evenly spread: more would tell apart only what is too small to matter."""
_WORDS = {"level": "mean", "contrast": "spread inside an image", "variety": "spread between images"}


def calibration_facts(scene: Scene) -> CalibrationFacts | None:
    """Of the images that were used; None where the build has no INT8 candidate, or did not prepare images."""
    import numpy as np

    from edgecnn.quantization.calibration import calibration_classes, calibration_pixels

    prepared, resolved = scene.execution.artifacts.get("prepare"), scene.execution.plan.resolved
    images = resolved.recipe.quantize.images
    calibrated = any(not each.precision.is_float and each.method is not Method.BROUGHT for each in scene.execution.candidates)
    if prepared is None or images is None or not calibrated:
        return None
    if not (prepared.folder / "calibrate.pixels.npy").is_file():
        return None
    if len(np.load(prepared.folder / "calibrate.pixels.npy", mmap_mode="r")) < images:
        return None  # every INT8 candidate failed of it, and says so
    choose = np.load(prepared.folder / "choose.pixels.npy", mmap_mode="r")
    places = np.arange(min(len(choose), CHOOSE_AT_MOST)) * len(choose) // min(len(choose), CHOOSE_AT_MOST)
    shifts = channel_shifts(calibration_pixels(prepared.folder, images), choose[places])
    return CalibrationFacts(
        images=images,
        classes=calibration_classes(prepared.folder, images),
        classes_of=len(resolved.data.classes),
        compared=shifts is not None,
        shifts=shifts or (),
    )


def calibration_notices(facts: CalibrationFacts | None) -> tuple[str, ...]:
    """What a reader must know before believing an INT8 candidate; nothing where there is nothing to say."""
    if facts is None:
        return ()
    if facts.images == 1:
        return ("CALIBRATION ON A SINGLE IMAGE: INT8 ranges fit that image, and others may be clipped; raise quantize.images",)
    said = []
    if facts.classes == 1 and facts.classes_of > 1:
        said.append(
            f"CALIBRATION ON ONE CLASS of {facts.classes_of}: all {facts.images:,} images are of it, and INT8 ranges fit it; "
            "raise quantize.images, or data.calibrate_images"
        )
    if facts.shifts:
        said.append(f"CALIBRATION IMAGES DIFFER from those of choose: {_shifts(facts.shifts)}; INT8 ranges may not fit those")
    elif not facts.compared:
        said.append(
            f"INT8 ranges rest on {facts.images} calibration images: with fewer than {LEAST_IMAGES} on either side, their "
            "channels cannot be held against those of choose"
        )
    return tuple(said)


def _shifts(shifts: Sequence[ChannelShift]) -> str:
    """The largest of each statistic, since three channels of a grey picture say the same."""
    largest = {each.statistic: each for each in sorted(shifts, key=lambda each: abs(each.spreads))}
    return "; ".join(
        f"{_WORDS[name]} of {each.channel} {each.calibrate:.0f} against {each.choose:.0f} of 255 "
        f"({abs(each.spreads):.1f} times how much images differ)"
        for name, each in largest.items()
    )
