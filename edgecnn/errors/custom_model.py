"""Failures of a custom model: a user's own file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError

STATE_SIZE = "--set model.resolution_px=224 says at which it is used"
PREPROCESSING = "state it, as in --set preprocessing.like=imagenet"


class CustomFileMissing(EdgecnnError):
    """Raised when ``--model`` names nothing that can be read."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"the model file {path} cannot be read", because=because)


class CustomModelUnusable(EdgecnnError):
    """Raised when a file is no image classifier that this pipeline can take."""

    def __init__(self, *, path: Path, because: str, hint: str | None = None) -> None:
        super().__init__(what=f"{path} cannot be built from", because=because, hint=hint)


class InputSizeOpen(CustomModelUnusable):
    """Raised when a file leaves the height and width of its input open, and nothing states them."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(path=path, because=because, hint=STATE_SIZE)


class ForeignModel(EdgecnnError):
    """Raised when ``--model`` names a folder, or a file of a format that is not read; ``form`` with its article."""

    def __init__(self, *, path: Path, form: str, fix: str | None) -> None:
        super().__init__(
            what=f"{path} is {form}", because="edgecnn reads ONNX, torch.export (.pt2) and TorchScript files", hint=fix
        )


class CustomHoldsObjects(EdgecnnError):
    """Raised when a file is no network that can be read safely: tensors alone, or more than operators on tensors."""

    ref = "custom-model-holds-objects"

    def __init__(self, *, path: Path, found: str) -> None:
        super().__init__(
            what=f"{path} is refused",
            because=f"it holds {found}, and what is read is a network alone, nothing that Python unpickles or runs",
            hint="of a network of the list save torch.save(model.state_dict(), FILE) and give --arch NAME --weights FILE "
            "--keep-head; of any other torch.export.save(torch.export.export(model.eval(), (example,)), FILE)",
        )


class CustomModelChanged(EdgecnnError):
    """Raised when the file has other bytes than were planned with."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(what=f"{path} changed during the build", hint="run the same command again")


class ClassesDiffer(EdgecnnError):
    """Raised when a model and a folder of photographs do not have as many classes."""

    ref = "custom-model-classes-differ"

    def __init__(self, *, path: Path, classes: int, data: str, found: Sequence[str]) -> None:
        shown = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
        super().__init__(
            what=f"{path} has {classes:,} output classes and {data} has {len(found):,}",
            because=f"a class is a folder there ({shown}), in the order of their names",
            hint="--data FOLDER with a folder for each of the model's classes, or --set data.classes=FILE, which names them all",
        )


class UnknownPreprocessing(EdgecnnError):
    """Raised when ``preprocessing.like`` names none of the usual ones."""

    def __init__(self, *, name: str, known: Sequence[str], nearest: str | None) -> None:
        wish = f"did you mean {nearest}? " if nearest else ""
        super().__init__(
            what=f"no preprocessing is called {name!r}",
            hint=f"{wish}known are {', '.join(known)}, or preprocessing.mean and preprocessing.std by themselves",
        )


class PreprocessingIncomplete(EdgecnnError):
    """Raised when a recipe states one of mean and std without the other, or numbers beside a name."""

    ref = "preprocessing-half-given"

    def __init__(self, *, because: str) -> None:
        super().__init__(
            what="the preprocessing is not clear", because=because, hint="state both mean and std, or preprocessing.like alone"
        )


class PreprocessingUnproved(EdgecnnError):
    """Raised when nothing states how a model is fed, and its images have no labels to find it out by."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"nothing states the preprocessing of {path}",
            because="the usual ones are told apart by accuracy, and these images have no labels",
            hint=PREPROCESSING,
        )


class LabelsNeeded(EdgecnnError):
    """Raised when a network of the catalogue is to be trained on images without labels."""

    def __init__(self, *, arch: str) -> None:
        super().__init__(
            what=f"{arch} is trained here, and without labels there is nothing to learn",
            hint="leave --no-labels out, or name a trained network by --model FILE",
        )


class AnswersAlike(EdgecnnError):
    """Raised when a model gives one answer, number for number, to every image and however it is fed."""

    def __init__(self, *, path: Path, images: int, ways: int) -> None:
        fed = "" if ways == 1 else f", fed in {ways} ways"
        super().__init__(
            what=f"{path} gives every image the same output",
            because=f"{images} different images got exactly the same numbers{fed}: its output does not depend on its input",
            hint="export it anew, with its trained weights and in evaluation mode",
        )


class AnswersNotFinite(EdgecnnError):
    """Raised when a model's own answers hold NaN or infinity before anything was done to it."""

    def __init__(self, *, path: Path, image: str, bad: int, images: int) -> None:
        super().__init__(
            what=f"{path} outputs NaN or infinity before anything is done to it",
            because=f"to {bad} of {images} images, {image} first",
            hint="export it anew, and see that its weights are numbers; half precision overflows at 65,504",
        )


class QuantizedElsewhere(EdgecnnError):
    """Raised when a file that came quantized is to run on something else than ONNX Runtime."""

    def __init__(self, *, path: str, form: str, device: str, has: bool) -> None:
        other = f"--target {device}:onnxruntime packages it, or " if has else ""
        super().__init__(
            what=f"{path} came quantized ({form}), and is packaged as it is for ONNX Runtime alone",
            because="other runtimes have kernels and roundings of their own, which are made from the float network",
            hint=f"{other}--model with the float network that it was made from",
        )


class CustomAndNamed(EdgecnnError):
    """Raised when a call names a network of the catalogue, or weights for it, beside a custom model."""

    ref = "custom-model-and-arch"

    def __init__(self, *, option: str) -> None:
        super().__init__(what=f"--model and {option} contradict each other", because="the file is the network, with its weights")


class NoDataForModel(EdgecnnError):
    """Raised when a custom model has nothing to be judged on."""

    ref = "custom-model-without-data"

    def __init__(self) -> None:
        super().__init__(
            what="--model needs the photographs to judge the model on",
            because="the embedded demo has its own ten classes",
            hint="--data FOLDER, with a sub-folder a class",
        )


class NothingToTrain(EdgecnnError):
    """Raised when ``train`` is asked of a custom model."""

    def __init__(self) -> None:
        super().__init__(what="--model names a trained model, which is not trained again", hint="begin with edgecnn export")


class TrainingSwitch(EdgecnnError):
    """Raised when a recipe says that nothing is trained, of a network that is."""

    ref = "data-train-stated"

    def __init__(self) -> None:
        super().__init__(
            what="data.train = false leaves nothing to train on",
            because="a network of the catalogue is trained; for a custom model, which is not, the value is filled in",
            hint="leave it out",
        )


class PreprocessingOfAnArch(EdgecnnError):
    """Raised when mean, scale or margin are stated for a network of the catalogue, which has its own."""

    def __init__(self, *, arch: str, stated: str) -> None:
        super().__init__(
            what=f"preprocessing.{stated} applies to custom models only",
            because=f"{arch} is fed as its own row says; how a photograph is resized may be asked (resize, fill, interpolation)",
            hint="leave it out, or name the model by --model FILE",
        )


class OutputOfAnArch(EdgecnnError):
    """Raised when an output is chosen of a network of the catalogue, which has one."""

    ref = "model-output-of-an-arch"

    def __init__(self, *, arch: str) -> None:
        super().__init__(
            what="model.output applies to custom models only",
            because=f"{arch} has one output",
            hint="leave it out, or name the model by --model FILE",
        )


class NoHeadToKeep(EdgecnnError):
    """Raised when the head of weights is to be kept and there are no weights."""

    def __init__(self, *, arch: str, why: str) -> None:
        super().__init__(
            what=f"--keep-head keeps what {arch} learned, and there are no weights",
            because=why,
            hint="--weights imagenet or a FILE",
        )


class NothingTrainsKeptHead(EdgecnnError):
    """Raised when something of training is asked for beside a head that is kept."""

    ref = "kept-head-and-training"

    def __init__(self, *, asked: str) -> None:
        super().__init__(
            what=f"--keep-head and {asked} contradict each other",
            because="with its weights' own head a network is taken as it is, and nothing is trained",
            hint="leave one of them out",
        )


class NoDataForHead(EdgecnnError):
    """Raised when a kept head is to be judged on the demo, whose classes are others."""

    ref = "kept-head-without-data"

    def __init__(self) -> None:
        super().__init__(
            what="--keep-head needs photographs of the classes that the head knows",
            because="the embedded demo has ten classes of its own",
            hint="--data imagenet/val, with a folder a WordNet id, or some of those folders",
        )


class HeadDiffers(EdgecnnError):
    """Raised when kept weights answer with another number of classes than the images are of."""

    ref = "kept-head-differs"

    def __init__(self, *, file: str, classes: int, found: int) -> None:
        super().__init__(
            what=f"the head in {file} has {classes:,} output classes, and the images have {found:,}",
            because="a head that is kept is not trained again",
            hint="--set data.classes=imagenet where the 1,000 classes are ImageNet's, or leave --keep-head out",
        )
