from __future__ import annotations

from pathlib import Path

from edgecnn.errors.data.synthesis import (
    ClassesWithoutCutouts,
    CutoutClassUnknown,
    CutoutsUnusable,
    SynthesisFolderUnusable,
    SynthesisIncomplete,
    SynthesisNotFitting,
)

CUT = Path("cut")


def test_half_of_a_picture_is_none() -> None:
    assert SynthesisIncomplete(stated="cutouts", missing="backgrounds").line() == (
        "synthesis.cutouts is stated, and synthesis.backgrounds is not: a picture is composed of a cut-out and a background"
        " — --set synthesis.backgrounds=FOLDER [synthesis-incomplete]"
    )


def test_composed_images_that_nobody_would_learn_from_are_a_contradiction() -> None:
    assert SynthesisNotFitting(beside="--keep-head", because="nothing is trained").line() == (
        "[synthesis] does not go with --keep-head: nothing is trained — leave one of them out [synthesis-not-fitting]"
    )


def test_a_folder_is_named_with_its_key() -> None:
    assert SynthesisFolderUnusable(key="cutouts", folder=CUT, because="no such folder").line() == (
        "synthesis.cutouts: cut cannot be used: no such folder — it should hold one sub-folder a class, of pictures with an"
        " alpha channel [synthesis-folder-unusable]"
    )
    assert SynthesisFolderUnusable(key="backgrounds", folder=Path("under"), because="no such folder").line() == (
        "synthesis.backgrounds: under cannot be used: no such folder — it should hold photographs [synthesis-folder-unusable]"
    )


def test_a_class_of_cut_outs_alone_names_the_nearest_of_the_photographs() -> None:
    near = CutoutClassUnknown(folder=CUT, names=["shoe", "x"], classes=["hat", "shoes"])
    assert near.line() == (
        "synthesis.cutouts: cut has cut-outs of 'shoe', 'x', which the photographs do not know: a class that only composed"
        " images show could neither be judged nor calibrated — rename shoe to shoes? [cutout-class-unknown]"
    )
    assert CutoutClassUnknown(folder=CUT, names=["lamp"], classes=["hat"]).hint == "add photographs of it, or remove its folder"


def test_classes_without_cut_outs_are_counted() -> None:
    assert ClassesWithoutCutouts(folder=CUT, names=list("abcdefg")).line() == (
        "synthesis.cutouts: cut has no cut-out of 'a', 'b', 'c', 'd', 'e' and 2 more: where only some classes have composed"
        " images, being composed tells these from the others — add cut-outs of it; --set synthesis.classes=some accepts"
        " that, beside photographs [classes-without-cutouts]"
    )


def test_pictures_that_are_no_cut_outs_are_named_together() -> None:
    broken = [(f"hat/{number}.jpg", "it has no alpha channel") for number in range(6)]
    assert CutoutsUnusable(folder="cut", broken=broken[:1], checked=9).line() == (
        "cut: 1 of 9 pictures cannot be used as cut-outs: hat/0.jpg: it has no alpha channel — save what is to be seen as PNG or"
        " WebP with transparency around it, or remove them [cutouts-unusable]"
    )
    because = CutoutsUnusable(folder="cut", broken=broken, checked=9).because or ""
    assert because.endswith("hat/4.jpg: it has no alpha channel and 1 more")
