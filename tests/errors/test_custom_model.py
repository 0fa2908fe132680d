from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import (
    AnswersAlike,
    AnswersNotFinite,
    ClassesDiffer,
    CustomAndNamed,
    CustomFileMissing,
    CustomHoldsObjects,
    CustomModelChanged,
    CustomModelUnusable,
    ForeignModel,
    InputSizeOpen,
    LabelsNeeded,
    NoDataForModel,
    NothingToTrain,
    OutputOfAnArch,
    PreprocessingIncomplete,
    PreprocessingOfAnArch,
    PreprocessingUnproved,
    TrainingSwitch,
    UnknownPreprocessing,
)
from edgecnn.errors.graph import REPORT, ExternalDataMissing, OpsetUnreachable, TrunkDisagrees

FILE = Path("mine.onnx")
LINES = (
    (
        PreprocessingUnproved(path=FILE),
        "nothing states the preprocessing of mine.onnx: the usual ones are told apart by accuracy, and these images "
        "have no labels — state it, as in --set preprocessing.like=imagenet [preprocessing-unproved]",
    ),
    (
        LabelsNeeded(arch="resnet-18"),
        "resnet-18 is trained here, and without labels there is nothing to learn — leave --no-labels out, or name a trained "
        "network by --model FILE [labels-needed]",
    ),
    (
        AnswersAlike(path=FILE, images=36, ways=12),
        "mine.onnx gives every image the same output: 36 different images got exactly the same numbers, fed in 12 ways: its "
        "output does not depend on its input — export it anew, with its trained weights and in evaluation mode [answers-alike]",
    ),
    (
        AnswersNotFinite(path=FILE, image="a/1.png", bad=3, images=36),
        "mine.onnx outputs NaN or infinity before anything is done to it: to 3 of 36 images, a/1.png first — "
        "export it anew, and see that its weights are numbers; half precision overflows at 65,504 [answers-not-finite]",
    ),
    (
        CustomFileMissing(path=FILE, because="no such file or directory"),
        "the model file mine.onnx cannot be read: no such file or directory [custom-file-missing]",
    ),
    (
        InputSizeOpen(path=FILE, because="its input x leaves height and width open"),
        "mine.onnx cannot be built from: its input x leaves height and width open — --set model.resolution_px=224 says at which "
        "it is used [input-size-open]",
    ),
    (
        ForeignModel(path=Path("mine.ort"), form="an ONNX Runtime model", fix="give the ONNX file"),
        "mine.ort is an ONNX Runtime model: edgecnn reads ONNX, torch.export (.pt2) and TorchScript files — give the ONNX file "
        "[foreign-model]",
    ),
    (
        CustomHoldsObjects(path=Path("mine.pth"), found="a pickled object"),
        "mine.pth is refused: it holds a pickled object, and what is read is a network alone, nothing that Python unpickles or "
        "runs — of a network of the list save torch.save(model.state_dict(), FILE) and give --arch NAME --weights FILE "
        "--keep-head; of any other torch.export.save(torch.export.export(model.eval(), (example,)), FILE) "
        "[custom-model-holds-objects]",
    ),
    (
        CustomModelUnusable(path=FILE, because="its input image leaves height and width open", hint="say at which it is used"),
        "mine.onnx cannot be built from: its input image leaves height and width open — say at which it is used"
        " [custom-model-unusable]",
    ),
    (
        CustomModelChanged(path=FILE),
        "mine.onnx changed during the build — run the same command again [custom-model-changed]",
    ),
    (
        TrunkDisagrees(path=FILE, change="with opset 11 to 20", max_abs_diff=2.5, allowed=0.01),
        "mine.onnx cannot be built from: with opset 11 to 20, it differs by 2.5 in an answer, 0.01 is allowed"
        " — export it anew with opset 20 and a dynamic batch [trunk-disagrees]",
    ),
    (
        TrunkDisagrees(path=FILE, change="saved anew", max_abs_diff=2.5, allowed=0.01, hint=REPORT),
        "mine.onnx cannot be built from: saved anew, it differs by 2.5 in an answer, 0.01 is allowed — report this "
        "with the file: the conversion here changed its answers [trunk-disagrees]",
    ),
    (
        OpsetUnreachable(path=FILE, opset=23, wanted=20, because="no adapter for RMSNormalization"),
        "mine.onnx has ONNX opset 23, and cannot be converted to 20: no adapter for RMSNormalization"
        " — export it anew with opset 20 [opset-unreachable]",
    ),
    (
        ClassesDiffer(path=FILE, classes=1000, data="val", found=("cat", "dog")),
        "mine.onnx has 1,000 output classes and val has 2: a class is a folder there (cat, dog), in the order of their names"
        " — --data FOLDER with a folder for each of the model's classes, or --set data.classes=FILE, which names them all "
        "[custom-model-classes-differ]",
    ),
    (
        UnknownPreprocessing(name="imagnet", known=("imagenet", "half"), nearest="imagenet"),
        "no preprocessing is called 'imagnet' — did you mean imagenet? known are imagenet, half, or preprocessing.mean and"
        " preprocessing.std by themselves [unknown-preprocessing]",
    ),
    (
        PreprocessingIncomplete(because="preprocessing.std is missing"),
        "the preprocessing is not clear: preprocessing.std is missing — state both mean and std, or preprocessing.like alone"
        " [preprocessing-half-given]",
    ),
    (
        CustomAndNamed(option="--arch"),
        "--model and --arch contradict each other: the file is the network, with its weights [custom-model-and-arch]",
    ),
    (
        NoDataForModel(),
        "--model needs the photographs to judge the model on: the embedded demo has its own ten classes"
        " — --data FOLDER, with a sub-folder a class [custom-model-without-data]",
    ),
    (
        NothingToTrain(),
        "--model names a trained model, which is not trained again — begin with edgecnn export [nothing-to-train]",
    ),
    (
        PreprocessingOfAnArch(arch="resnet-18", stated="mean"),
        "preprocessing.mean applies to custom models only: resnet-18 is fed as its own row says; "
        "how a photograph is resized may be asked (resize, fill, interpolation) — "
        "leave it out, or name the model by --model FILE [preprocessing-of-an-arch]",
    ),
    (
        OutputOfAnArch(arch="resnet-18"),
        "model.output applies to custom models only: resnet-18 has one output — leave it out, or name the model by --model FILE "
        "[model-output-of-an-arch]",
    ),
    (
        ExternalDataMissing(path=Path("models/mine.onnx"), location="mine.onnx.data"),
        "models/mine.onnx needs the file mine.onnx.data, which is not in its folder: the model's weights are stored there — copy "
        "mine.onnx.data into models too, from where the model was exported [external-data-missing]",
    ),
    (
        TrainingSwitch(),
        "data.train = false leaves nothing to train on: a network of the catalogue is trained; for a custom model, which "
        "is not, the value is filled in — leave it out [data-train-stated]",
    ),
)


@pytest.mark.parametrize(("error", "line"), LINES, ids=[error.ref for error, _ in LINES])
def test_the_exact_text(error: EdgecnnError, line: str) -> None:
    assert error.line() == line
