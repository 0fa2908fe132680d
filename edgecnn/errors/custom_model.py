"""Failures of a custom model: a user's own file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow

STATE_SIZE = "pass the size of its images, as in --set model.resolution_px=224"
PREPROCESSING = "set the preprocessing, as in --set preprocessing.like=imagenet"


class CustomModelUnusable(EdgecnnError):
    """A file is not an image classifier that this pipeline can use."""


class InputSizeOpen(CustomModelUnusable):
    """A file leaves the height and width of its input open, and nothing states them."""


CUSTOM_FILE_MISSING = ErrorRow(
    "custom-file-missing", "the model file {path} cannot be read", "{because}", "pass a readable file: --model FILE"
)
CUSTOM_MODEL_UNUSABLE = ErrorRow(
    "custom-model-unusable", "edgecnn cannot build from {path}", "{because}", "{hint}", kind=CustomModelUnusable
)
INPUT_SIZE_OPEN = ErrorRow("input-size-open", "edgecnn cannot build from {path}", "{because}", STATE_SIZE, kind=InputSizeOpen)
FOREIGN_MODEL = ErrorRow(
    "foreign-model", "{path} is {form}", "edgecnn reads ONNX, torch.export (.pt2) and TorchScript files", "{fix}"
)
CUSTOM_MODEL_HOLDS_OBJECTS = ErrorRow(
    "custom-model-holds-objects",
    "{path} is refused",
    "it holds {found}; edgecnn reads networks only, never objects that Python unpickles or runs",
    "for a listed network, run torch.save(model.state_dict(), FILE) and pass --arch NAME --weights FILE --keep-head; "
    "for any other network, run torch.export.save(torch.export.export(model.eval(), (example,)), FILE)",
)
CUSTOM_MODEL_CHANGED = ErrorRow("custom-model-changed", "{path} changed during the build", fix="rerun the command")
CUSTOM_MODEL_CLASSES_DIFFER = ErrorRow(
    "custom-model-classes-differ",
    "{path} has {classes:,} output classes, but {data} has {found:,}",
    "each folder there is a class ({shown}), sorted by name",
    "pass --data FOLDER with one folder per class of the model, or --set data.classes=FILE with all class names",
)
UNKNOWN_PREPROCESSING = ErrorRow(
    "unknown-preprocessing",
    "{name!r} is not a known preprocessing",
    fix="{guess}use {known:commas}, or set preprocessing.mean and preprocessing.std",
)
PREPROCESSING_HALF_GIVEN = ErrorRow(
    "preprocessing-half-given",
    "the preprocessing is not clear",
    "preprocessing.{missing} is missing",
    "set both mean and std, or only preprocessing.like",
)
PREPROCESSING_GIVEN_TWICE = ErrorRow(
    "preprocessing-given-twice",
    "the preprocessing is not clear",
    "preprocessing.like and preprocessing.mean are both set",
    "set both mean and std, or only preprocessing.like",
)
COLOURS_OF_GREY = ErrorRow(
    "colours-of-grey",
    "{setting} states three channels",
    "the network has one channel",
    "remove {setting}, or choose a preprocessing for grey images",
)
GREY_NUMBERS_DIFFER = ErrorRow(
    "grey-numbers-differ",
    "mean and std differ between channels",
    "the network has one channel",
    "repeat one number three times in preprocessing.mean and preprocessing.std",
)
FILL_WITHOUT_BORDER = ErrorRow(
    "fill-without-border",
    "preprocessing.fill has no effect",
    "only preprocessing.resize letterbox and line add a border",
    "remove preprocessing.fill, or set preprocessing.resize=letterbox",
)
PREPROCESSING_UNPROVED = ErrorRow(
    "preprocessing-unproved",
    "the preprocessing of {path} is unknown",
    "edgecnn chooses a preprocessing by accuracy, but these images have no labels",
    PREPROCESSING,
)
LABELS_NEEDED = ErrorRow(
    "labels-needed",
    "{arch} cannot be trained on images without labels",
    fix="remove --no-labels, or pass a trained network with --model FILE",
)
ANSWERS_ALIKE = ErrorRow(
    "answers-alike",
    "{path} gives every image the same output",
    "{images} different images gave exactly the same numbers{fed}, so the output does not depend on the input",
    "export the model again, with its trained weights and in evaluation mode",
)
ANSWERS_NOT_FINITE = ErrorRow(
    "answers-not-finite",
    "{path}, as it is, outputs NaN or infinity",
    "{bad} of {images} images have such an output; the first is {image}",
    "check that the weights are finite, and export the model again; half precision overflows at 65,504",
)
QUANTIZED_ELSEWHERE = ErrorRow(
    "quantized-elsewhere",
    "{path} is already quantized ({form}), so only ONNX Runtime can run it",
    "other runtimes quantize the float network with their own kernels and rounding",
    "{hint}",
)
CUSTOM_MODEL_AND_ARCH = ErrorRow(
    "custom-model-and-arch",
    "--model and {option} contradict each other",
    "the model file already contains the network and its weights",
)
CUSTOM_MODEL_WITHOUT_DATA = ErrorRow(
    "custom-model-without-data",
    "--model needs images to judge the model on",
    "the classes of the embedded demo are not your model's",
    "pass --data FOLDER, with a sub-folder for each class",
)
NOTHING_TO_TRAIN = ErrorRow(
    "nothing-to-train", "--model passes a trained model, which edgecnn does not train again", fix="start with edgecnn export"
)
DATA_TRAIN_STATED = ErrorRow(
    "data-train-stated",
    "data.train = false leaves nothing to train on",
    "a network of the catalogue is always trained; for a custom model, edgecnn sets the value itself",
    "remove data.train",
)
PREPROCESSING_OF_AN_ARCH = ErrorRow(
    "preprocessing-of-an-arch",
    "preprocessing.{stated} applies to custom models only",
    "the catalogue defines the preprocessing of {arch}; only resize, fill and interpolation can be set",
    "remove the setting, or pass your model with --model FILE",
)
MODEL_OUTPUT_OF_AN_ARCH = ErrorRow(
    "model-output-of-an-arch",
    "model.output applies to custom models only",
    "{arch} has only one output",
    "remove the setting, or pass your model with --model FILE",
)
NO_HEAD_TO_KEEP = ErrorRow(
    "no-head-to-keep",
    "--keep-head needs weights of {arch}, but there are none",
    "{why}",
    "pass --weights imagenet or --weights FILE",
)
KEPT_HEAD_AND_TRAINING = ErrorRow(
    "kept-head-and-training",
    "--keep-head and {asked} contradict each other",
    "--keep-head uses the network as it is and trains nothing",
    "remove one of them",
)
KEPT_HEAD_WITHOUT_DATA = ErrorRow(
    "kept-head-without-data",
    "--keep-head needs images of the classes that the head knows",
    "the classes of the embedded demo are not those of the head",
    "pass --data imagenet/val, with folders for all or some of the WordNet ids",
)
KEPT_HEAD_DIFFERS = ErrorRow(
    "kept-head-differs",
    "the head in {file} has {classes:,} classes, but the images have {found:,}",
    "--keep-head does not train the head for other classes",
    "pass --set data.classes=imagenet if the 1,000 classes are ImageNet's, or remove --keep-head",
)


def custom_model_unusable(path: Path, because: str, hint: str | None = None) -> EdgecnnError:
    return CUSTOM_MODEL_UNUSABLE(path=path, because=because, hint=hint)


def custom_model_classes_differ(path: Path, classes: int, data: str, names: Sequence[str]) -> EdgecnnError:
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return CUSTOM_MODEL_CLASSES_DIFFER(path=path, classes=classes, data=data, found=len(names), shown=shown)


def unknown_preprocessing(name: str, known: Sequence[str], nearest: str | None) -> EdgecnnError:
    return UNKNOWN_PREPROCESSING(name=name, known=known, guess=f"did you mean {nearest}? " if nearest else "")


def answers_alike(path: Path, images: int, ways: int) -> EdgecnnError:
    """``ways``: preprocessings that were tried."""
    return ANSWERS_ALIKE(path=path, images=images, fed="" if ways == 1 else f", with {ways} preprocessings")


def quantized_elsewhere(path: str, form: str, device: str, has: bool) -> EdgecnnError:
    """``has``: whether the device has ONNX Runtime."""
    other = f"pass --target {device}:onnxruntime to package it, or " if has else ""
    return QUANTIZED_ELSEWHERE(path=path, form=form, hint=f"{other}pass the float network that it was made from with --model")
