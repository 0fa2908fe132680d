"""The exact lines of what can go wrong with several labels an image, where no other test has them."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.data.multi_label import LabelsNotDivisible, LabelTooRare, MultiLabelNotFitting, ThresholdsOfAnotherModel


def test_what_does_not_go_with_several_labels() -> None:
    assert MultiLabelNotFitting(asked="train.head=svm", because="it is fitted to one class an image").line() == (
        "train.head=svm does not go with several labels an image: it is fitted to one class an image"
        " — leave it out, or list one label an image [multi-label-not-fitting]"
    )


def test_several_labels_are_too_rare() -> None:
    short = [("owl", 1, 4), ("elk", 0, 4), ("emu", 3, 5)]
    assert LabelTooRare(file=Path("list.csv"), short=short, roles=("test", "train")).line() == (
        "list.csv: label 'owl' is on 1 usable image for test and train, and needs 4: 'elk', 'emu' are on too few images too"
        " — add images that have it, or take it out of the list [label-too-rare]"
    )


def test_no_way_to_divide_was_found() -> None:
    assert LabelsNotDivisible(file=Path("list.csv"), roles=("test", "validation", "train")).line() == (
        "list.csv: no way was found to divide the images so that test, validation and train each have images of every label"
        " — add images of the rare labels, or divide the images yourself in a column split [labels-not-divisible]"
    )


def test_thresholds_of_another_model() -> None:
    error = ThresholdsOfAnotherModel(file=Path("thresholds.json"), found=("cat",), labels=("cat", "dog"))
    assert error.line() == (
        "thresholds.json: its thresholds are those of another model: it has none of 'dog'"
        " — take the thresholds and the kit of one build [thresholds-of-another-model]"
    )
