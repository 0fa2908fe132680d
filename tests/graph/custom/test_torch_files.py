"""Files of torch become the same trunk as an ONNX file; what is no network, or would run more than one, is refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import CUSTOM_MODEL_HOLDS_OBJECTS, CustomModelUnusable
from edgecnn.graph.custom.file import CustomRequest, make_custom_trunk, open_file, read_file
from edgecnn.graph.custom.form import form_of
from edgecnn.render.progress import Quiet
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.custom_model import GraphEntry
from tests.graph.custom_files import SIDE, feeding_named, pictures
from tests.graph.torch_files import Classifier, OfTwo, OneShare, Tall, Twofold, WithSoftmax, exported, scripted, traced

HALF = feeding_named("half")


def read(path: Path, side: int | None = SIDE) -> GraphEntry:
    return read_file(path, form_of(path), None if side is None else ImageSize.square(side)).entry


MADE: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "exported": (lambda file: exported(Classifier(), file), {"batch": None, "form": "torch.export", "ends_in_softmax": False}),
    "exported of one": (
        lambda file: exported(WithSoftmax(), file, images=1, free=False),
        {"batch": 1, "form": "torch.export", "ends_in_softmax": True},
    ),
    "scripted": (lambda file: scripted(WithSoftmax(), file), {"batch": None, "form": "TorchScript", "ends_in_softmax": True}),
    "traced": (lambda file: traced(Classifier(), file), {"batch": None, "form": "TorchScript", "ends_in_softmax": False}),
    "traced on two": (lambda file: traced(OfTwo(), file), {"batch": 2, "form": "TorchScript"}),
    "half": (lambda file: scripted(Classifier().half(), file), {"dtype": "float16", "form": "TorchScript"}),
}


def made_trunk(path: Path, entry: GraphEntry, folder: Path) -> Path:
    """The folder of the trunk, after it was compared with the file on 64 pictures."""
    pixels, _ = pictures(64)
    (folder / "pixels" / "golden").mkdir(parents=True)
    np.save(folder / "pixels" / "validation.pixels.npy", pixels)
    np.save(folder / "pixels" / "golden" / "pixels.npy", pixels[:4])
    (out := folder / "out").mkdir()
    make_custom_trunk(CustomRequest(path, folder / "pixels", entry, HALF), out, Quiet())
    return out


@pytest.mark.parametrize("make", [exported, traced], ids=["exported", "traced"])
@pytest.mark.parametrize(("network", "classes"), [(OneShare, 2), (Tall, 4)])
def test_answers_of_other_shapes_become_a_row_an_image(
    make: Callable[..., Path], network: type[Classifier], classes: int, tmp_path: Path
) -> None:
    path = make(network(), tmp_path / "mine.pt2")
    entry = read(path)
    assert (entry.classes, entry.one_share, entry.ends_in_softmax) == (classes, classes == 2, classes == 2)
    assert np.load(made_trunk(path, entry, tmp_path) / "golden_logits.npy").shape == (4, classes)


@pytest.mark.parametrize("name", MADE)
def test_the_trunk_answers_as_the_file_does_in_torch(name: str, tmp_path: Path) -> None:
    make, ends = MADE[name]
    path = make(tmp_path / "mine.pt2")
    says = read_file(path, form_of(path), ImageSize.square(SIDE))
    fields = says.entry.model_dump()
    assert {key: fields[key] for key in ends} == ends
    assert (says.entry.classes, says.entry.layout, says.entry.resolution_px, says.parameters) == (
        4,
        "NCHW",
        (SIDE, SIDE),
        12 + 6 + 16,
    )
    pixels, labels = pictures(64)
    assert (open_file(path, says.entry).answers(pixels, HALF).argmax(axis=1) == labels).all()
    out = made_trunk(path, says.entry, tmp_path)
    trunk = onnx.load(out / "model.onnx")
    assert [node.op_type for node in trunk.graph.node if node.op_type in ("Softmax", "BatchNormalization")] == []
    assert trunk.opset_import[0].version == 20 and trunk.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    check = json.loads((out / "check.json").read_text())
    assert check["images"] == 32 and check["top1_agreement"] == 1.0


def test_the_same_file_gives_the_same_trunk_from_another_folder(tmp_path: Path) -> None:
    trunks = []
    for name in ("a", "b"):
        (place := tmp_path / name / "golden").mkdir(parents=True)
        path = exported(Classifier(), tmp_path / name / "mine.pt2")
        pixels = pictures(16)[0]
        np.save(tmp_path / name / "validation.pixels.npy", pixels)
        np.save(place / "pixels.npy", pixels)
        make_custom_trunk(CustomRequest(path, tmp_path / name, read(path), HALF), tmp_path / name, Quiet())
        trunks.append((tmp_path / name / "model.onnx").read_bytes())
    assert trunks[0] == trunks[1]


def refused(path: Path, side: int | None = SIDE) -> str:
    with pytest.raises(EdgecnnError) as caught:
        read(path, side)
    return caught.value.line()


def test_what_is_no_network_of_its_own_is_refused_with_the_way_out(tmp_path: Path) -> None:
    torch.save(Classifier(), tmp_path / "whole.pt")
    torch.save(Classifier().state_dict(), tmp_path / "state.pth")
    torch.save(Classifier().state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"a": 1}))
    for name in ("whole.pt", "state.pth", "old.pth", "plain.pkl"):
        error_text = refused(tmp_path / name)
        assert "is refused: it holds an object that torch.save" in error_text and "[custom-model-holds-objects]" in error_text
        assert "[custom-model-holds-objects]" in error_text


def test_damage_is_named(tmp_path: Path) -> None:
    whole = exported(Classifier(), tmp_path / "whole.pt2").read_bytes()
    (tmp_path / "cut.pt2").write_bytes(whole[: len(whole) // 2])
    assert "cut off or damaged: a zip archive, as torch writes, without its end — copy the complete file again" in refused(
        tmp_path / "cut.pt2"
    )
    rewritten(tmp_path / "whole.pt2", tmp_path / "text.pt2", "models/model.json", lambda _: b"{no json")
    assert "it is damaged: models/model.json inside it cannot be read" in refused(tmp_path / "text.pt2")
    rewritten(tmp_path / "whole.pt2", tmp_path / "less.pt2", "models/model.json", lambda _: b'{"graph_module": {}}')
    assert "its program cannot be read (KeyError: 'signature')" in refused(tmp_path / "less.pt2")
    script = scripted(Classifier(), tmp_path / "script.pt")
    rewritten(script, tmp_path / "bad.pt", "data.pkl", lambda content: content[:20])
    assert "torch cannot load it: " in refused(tmp_path / "bad.pt")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "it is a zip archive of an unknown kind — pass an ONNX, torch.export" in refused(tmp_path / "other.zip")


def test_what_is_no_classifier_of_photographs_is_refused(tmp_path: Path) -> None:
    assert "a classifier has one output, but this file has 2: " in refused(exported(Twofold(), tmp_path / "two.pt2"))
    assert "has one output, but this returns a tuple — wrap it" in refused(scripted(Twofold(), tmp_path / "two.pt"))
    training = Classifier().train()
    error_text = refused(exported(training, tmp_path / "training.pt2"))
    assert "it was exported in training mode (torch.ops.aten.batch_norm.default) — call model.eval() before" in error_text
    script = scripted(Classifier(), tmp_path / "script.pt")
    assert "does not say how large its images are — pass the size of its images" in refused(script, None)
    assert "mine.pt2" not in error_text and "32×32 pixels, and model.resolution_px is 64" in refused(
        exported(Classifier(), tmp_path / "side.pt2"), 64
    )


class _Touches:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._path,))


def rewritten(source: Path, target: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy of an archive with one of its files changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            new.writestr(entry, change(content) if entry.endswith(f"/{name}") else content)
    return target


ATTACKS: dict[str, tuple[str, str, str]] = {
    "a call": ("torch.ops.aten.relu.default", "torch.hub.os.system", "a call of torch.hub.os.system"),
    "a file": ("torch.ops.aten.relu.default", "torch.ops.aten.from_file.default", "a call of torch.ops.aten.from_file.default"),
    "an operator": ("torch.ops.aten.relu.default", "_operator.methodcaller", "a call of _operator.methodcaller"),
    "a size": ("positive=True", "positive=exec(chr(49))", "a size that is more than arithmetic"),
    "an attribute": ("positive=True", "positive=True.real", "a size that is more than arithmetic"),
    "a name": ('"image"', '"image=exec(chr(49))"', "an invalid name (image=exec(chr(49)))"),
    "a tree": ("builtins.tuple", "collections.defaultdict", "inputs or outputs of the type collections.defaultdict"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_program_that_would_run_more_than_operators_is_refused(name: str, tmp_path: Path) -> None:
    before, after, message = ATTACKS[name]
    source = exported(Classifier(), tmp_path / "mine.pt2")

    def change(content: bytes) -> bytes:
        assert before.encode() in content
        return content.replace(before.encode(), after.encode())

    assert message in refused(rewritten(source, tmp_path / "bad.pt2", "models/model.json", change))


def test_pickled_weights_in_an_exported_program_are_never_unpickled(tmp_path: Path) -> None:
    source, ran = exported(Classifier(), tmp_path / "mine.pt2"), tmp_path / "ran"
    saved = io.BytesIO()
    torch.save(_Touches(ran), saved)
    with_object = rewritten(source, tmp_path / "payload.pt2", "data/weights/weight_0", lambda _: saved.getvalue())
    config = "data/weights/model_weights_config.json"
    bad = rewritten(
        with_object, tmp_path / "bad.pt2", config, lambda held: held.replace(b'"use_pickle": false', b'"use_pickle": true', 1)
    )
    with pytest.raises(EdgecnnError, match="a pickled object", check=CUSTOM_MODEL_HOLDS_OBJECTS.made):
        open_file(bad, read(source))
    assert not ran.exists()
    with pytest.raises(torch._export.verifier.SpecViolationError):
        torch.export.load(bad)  # what the check is for: torch notices only after it ran
    assert ran.exists()


def test_a_script_that_opens_files_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    source = scripted(Classifier(), tmp_path / "mine.pt")

    def change(content: bytes) -> bytes:
        return content.replace(b"torch.relu(", b"torch.from_file(")

    with zipfile.ZipFile(source) as archive:
        code = next(name for name in archive.namelist() if b"torch.relu(" in archive.read(name))
    bad = rewritten(source, tmp_path / "bad.pt", code.partition("/")[2], change)
    assert "a call of torch.from_file, which is not a tensor operator" in refused(bad)


@pytest.mark.parametrize(
    "text",
    [
        "torch . save(image, 'F')",
        "t = torch",
        "ops . aten . save(image, 'F')",
        'getattr(torch, "save")',
        'ops . image . read_file("/etc/hostname")',
        "ops.torchvision.nms(image)",
    ],
)
def test_other_spellings_of_a_call_are_refused(text: str, tmp_path: Path) -> None:
    source = scripted(Classifier(), tmp_path / "mine.pt")
    with zipfile.ZipFile(source) as archive:
        code = next(name for name in archive.namelist() if b"torch.relu(" in archive.read(name)).partition("/")[2]
    bad = rewritten(source, tmp_path / "bad.pt", code, lambda held: held + f"\n    {text}\n".encode())
    assert "which is not a tensor operator" in refused(bad)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    path = exported(Classifier(), tmp_path / "mine.pt2")
    with zipfile.ZipFile(path, "a") as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith("models/model.json"))
        archive.writestr(name.replace("model.json", "MODEL.json"), b"{}")
    with pytest.raises(CustomModelUnusable):
        form_of(path)


def test_torch_loads_what_was_looked_at_and_nothing_beside_it(tmp_path: Path) -> None:
    source, ran = exported(Classifier(), tmp_path / "mine.pt2"), tmp_path / "ran"
    pixels = pictures(4)[0]
    plain = open_file(source, read(source)).answers(pixels, HALF)
    saved = io.BytesIO()
    torch.save(_Touches(ran), saved)
    examples = rewritten(source, tmp_path / "examples.pt2", "data/sample_inputs/model.pt", lambda _: saved.getvalue())

    def pointed(held: bytes) -> bytes:
        program = json.loads(held)
        for node in program["graph_module"]["graph"]["nodes"]:
            node["metadata"] = {"source_fn_stack": "l0,os.system"}
        return json.dumps({**program, "guards_code": [f"__import__('pathlib').Path({str(ran)!r}).touch()"]}).encode()

    both = rewritten(examples, tmp_path / "both.pt2", "models/model.json", pointed)
    with zipfile.ZipFile(both, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/data/WEIGHTS/other", saved.getvalue())
    assert np.array_equal(open_file(both, read(both)).answers(pixels, HALF), plain)
    assert not ran.exists()


def test_networks_as_people_write_them_are_no_attack(tmp_path: Path) -> None:
    import torchvision

    plain = torch.nn.Sequential(torchvision.models.mobilenet_v3_small(num_classes=4), torch.nn.Softmax(dim=1)).eval()
    assert read(exported(plain, tmp_path / "mine.pt2", images=2)).classes == 4  # its parts are called 0 and 1
    assert read(traced(plain, tmp_path / "mine.pt")).classes == 4  # and its classes lie in torchvision.ops
