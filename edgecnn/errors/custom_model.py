"""Failures of a custom model: a user's own file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow

STATE_SIZE = "pass the size of its images, as in --set model.resolution_px=224"
PREPROCESSING = "state it, as in --set preprocessing.like=imagenet"


class CustomModelUnusable(EdgecnnError):
    """A file is not an image classifier that this pipeline can use."""


class InputSizeOpen(CustomModelUnusable):
    """A file leaves the height and width of its input open, and nothing states them."""


CUSTOM_FILE_MISSING = ErrorRow(
    "custom-file-missing", "the model file {path} cannot be read", "{because}", "pass a readable file: --model FILE"
)
CUSTOM_MODEL_UNUSABLE = ErrorRow(
    "custom-model-unusable", "{path} cannot be built from", "{because}", "{hint}", kind=CustomModelUnusable
)
INPUT_SIZE_OPEN = ErrorRow("input-size-open", "{path} cannot be built from", "{because}", STATE_SIZE, kind=InputSizeOpen)
FOREIGN_MODEL = ErrorRow(
    "foreign-model", "{path} is {form}", "edgecnn reads ONNX, torch.export (.pt2) and TorchScript files", "{fix}"
)
CUSTOM_MODEL_HOLDS_OBJECTS = ErrorRow(
    "custom-model-holds-objects",
    "{path} is refused",
    "it holds {found}, and edgecnn reads a network only, nothing that Python unpickles or runs",
    "for a network of the list, run torch.save(model.state_dict(), FILE) and pass --arch NAME --weights FILE --keep-head; "
    "for any other, torch.export.save(torch.export.export(model.eval(), (example,)), FILE)",
)
CUSTOM_MODEL_CHANGED = ErrorRow("custom-model-changed", "{path} changed during the build", fix="rerun the command")
CUSTOM_MODEL_CLASSES_DIFFER = ErrorRow(
    "custom-model-classes-differ",
    "{path} has {classes:,} output classes and {data} has {found:,}",
    "each folder there is a class ({shown}), in the order of their names",
    "--data FOLDER with a folder for each of the model's classes, or --set data.classes=FILE, which names them all",
)
UNKNOWN_PREPROCESSING = ErrorRow(
    "unknown-preprocessing",
    "no preprocessing is called {name!r}",
    fix="{guess}use {known:commas}, or state preprocessing.mean and preprocessing.std",
)
PREPROCESSING_HALF_GIVEN = ErrorRow(
    "preprocessing-half-given",
    "the preprocessing is not clear",
    "{because}",
    "state both mean and std, or preprocessing.like alone",
)
PREPROCESSING_UNPROVED = ErrorRow(
    "preprocessing-unproved",
    "nothing states the preprocessing of {path}",
    "edgecnn compares the usual ones by accuracy, and these images have no labels",
    PREPROCESSING,
)
LABELS_NEEDED = ErrorRow(
    "labels-needed",
    "{arch} cannot be trained on images without labels",
    fix="leave --no-labels out, or name a trained network by --model FILE",
)
ANSWERS_ALIKE = ErrorRow(
    "answers-alike",
    "{path} gives every image the same output",
    "{images} different images gave exactly the same numbers{fed}; the output does not depend on the input",
    "export it again, with its trained weights and in evaluation mode",
)
ANSWERS_NOT_FINITE = ErrorRow(
    "answers-not-finite",
    "{path} outputs NaN or infinity before any change to it",
    "{bad} of {images} images have such an output, {image} first",
    "export it again, and check that its weights are finite; half precision overflows at 65,504",
)
QUANTIZED_ELSEWHERE = ErrorRow(
    "quantized-elsewhere",
    "{path} is already quantized ({form}), and runs on ONNX Runtime only",
    "other runtimes have their own kernels and roundings, which are made from the float network",
    "{hint}",
)
CUSTOM_MODEL_AND_ARCH = ErrorRow(
    "custom-model-and-arch", "--model and {option} contradict each other", "the file is the network, with its weights"
)
CUSTOM_MODEL_WITHOUT_DATA = ErrorRow(
    "custom-model-without-data",
    "--model needs images to judge the model on",
    "the embedded demo has ten other classes",
    "--data FOLDER, with a sub-folder for each class",
)
NOTHING_TO_TRAIN = ErrorRow(
    "nothing-to-train", "--model names a trained model, which is not trained again", fix="begin with edgecnn export"
)
DATA_TRAIN_STATED = ErrorRow(
    "data-train-stated",
    "data.train = false leaves nothing to train on",
    "a network of the catalogue is always trained; for a custom model edgecnn sets the value itself",
    "leave it out",
)
PREPROCESSING_OF_AN_ARCH = ErrorRow(
    "preprocessing-of-an-arch",
    "preprocessing.{stated} applies to custom models only",
    "the catalogue states the preprocessing of {arch}; only resize, fill and interpolation can be set",
    "leave it out, or name the model by --model FILE",
)
MODEL_OUTPUT_OF_AN_ARCH = ErrorRow(
    "model-output-of-an-arch",
    "model.output applies to custom models only",
    "{arch} has one output",
    "leave it out, or name the model by --model FILE",
)
NO_HEAD_TO_KEEP = ErrorRow(
    "no-head-to-keep", "--keep-head needs weights of {arch}, and there are none", "{why}", "--weights imagenet or a FILE"
)
KEPT_HEAD_AND_TRAINING = ErrorRow(
    "kept-head-and-training",
    "--keep-head and {asked} contradict each other",
    "a network with its weights' own head is used as it is, and nothing is trained",
    "leave one of them out",
)
KEPT_HEAD_WITHOUT_DATA = ErrorRow(
    "kept-head-without-data",
    "--keep-head needs images of the classes that the head knows",
    "the embedded demo has ten other classes",
    "--data imagenet/val, with a folder for each WordNet id, or some of those folders",
)
KEPT_HEAD_DIFFERS = ErrorRow(
    "kept-head-differs",
    "the head in {file} has {classes:,} output classes; the images have {found:,}",
    "a head that is kept is not trained again",
    "--set data.classes=imagenet if the 1,000 classes are ImageNet's, or leave --keep-head out",
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
    """``has``: the device has ONNX Runtime."""
    other = f"--target {device}:onnxruntime packages it, or " if has else ""
    return QUANTIZED_ELSEWHERE(path=path, form=form, hint=f"{other}pass --model the float network that it was made from")
