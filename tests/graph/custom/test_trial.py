"""What a file may do to whoever opens it happens in a process with limits, and ends as one line about the file."""

from __future__ import annotations

import os
import time
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import CUSTOM_FILE_MISSING, CustomModelUnusable
from edgecnn.errors.weights import PACKAGE_UNIMPORTABLE
from edgecnn.graph.custom.trial import error_of, examine_file, read_and_convert
from edgecnn.hosts.sandbox import WRITTEN_BYTES, memory_limit
from edgecnn.planning.custom_model import custom_model
from edgecnn.render.progress import Quiet
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.recipe import Recipe
from tests.graph.custom_files import SIDE, classifier
from tests.graph.hostile_files import REFUSED, that_never_ends
from tests.graph.torch_files import scripted
from tests.store.small_disks import needs_mount, said_on


class Endless(nn.Module):
    """Looks as long as its answer is finite."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer = x.mean((2, 3))
        while bool(torch.isfinite(answer).all()):
            answer = answer * 0.5
        return answer


class Talkative(nn.Module):
    """Prints as long as its answer is finite."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer = x.mean((2, 3))
        while bool(torch.isfinite(answer).all()):
            print(x)  # noqa: T201 - what is tried
        return answer


def rewritten(path: Path, to: Path, value: bytes) -> Path:
    """The same program with another value in its one method."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            held = old.read(name)
            new.writestr(name, held.replace(b"torch.mean(x, [2, 3])", value) if name.endswith(".py") else held)
    return to


def wide() -> onnx.ModelProto:
    """With twice the weights that a process may write while it tries a file."""
    model, width = classifier(), WRITTEN_BYTES // (4 * 4)
    draw = np.random.default_rng(0)
    for name, shape in {"wide": (4, width), "narrow": (width, 4)}.items():
        model.graph.initializer.append(numpy_helper.from_array(draw.random(shape, np.float32), name))
    model.graph.node.append(helper.make_node("MatMul", ["scores", "wide"], ["many"], name="wider"))
    model.graph.node.append(helper.make_node("MatMul", ["many", "narrow"], ["few"], name="narrower"))
    model.graph.output[0].name = "few"
    return model


IN_A_PROCESS_OF_THEIR_OWN = ("1,500 operators that change nothing", "2^40 images a call", "a constant of 256 GiB")
"""They take time or memory."""


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in IN_A_PROCESS_OF_THEIR_OWN])
def test_a_file_that_is_none_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    path = make(tmp_path)
    fault = error_of(path, partial(read_and_convert, path, None, None, None))
    assert isinstance(fault, EdgecnnError)
    assert message in fault.line() and fault.line().isprintable()


@pytest.mark.parametrize("name", IN_A_PROCESS_OF_THEIR_OWN)
def test_what_takes_the_memory_takes_that_of_another_process(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    with pytest.raises(CustomModelUnusable, match=message):
        examine_file(make(tmp_path), None, None)


@pytest.mark.parametrize(
    ("machine", "container", "held", "most"),
    [(256, None, 0.1, 128), (256, 4, 0.1, 2.5), (4, None, 0, 2), (4, 64, 0.2, 3.5), (4, None, 1, 4), (1, None, 0.1, 1.5)],
    ids=[
        "the machine's",
        "the container's",
        "a small board's",
        "for the file",
        "no more than there is",
        "what torch itself takes",
    ],
)
def test_the_memory_is_half_of_what_this_process_may_have(
    machine: float, container: float | None, held: float, most: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": int(machine * 2**18), "SC_PAGE_SIZE": 2**12}.__getitem__)
    group = tmp_path / "sys/fs/cgroup/memory.max"
    group.parent.mkdir(parents=True)
    group.write_text("max" if container is None else str(int(container * 2**30)))
    assert memory_limit(int(held * 2**30), tmp_path) == pytest.approx(most * 2**30, rel=1e-6)


def test_what_never_ends_is_ended(tmp_path: Path) -> None:
    path, begun = that_never_ends(tmp_path), time.monotonic()
    with pytest.raises(CustomModelUnusable, match=r"reading it took more than 4 s"):
        examine_file(path, None, None, limit_s=4)
    assert time.monotonic() - begun < 20


def test_what_ends_the_process_by_a_signal_ends_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    onnx.save(classifier(), tmp_path / "mine.onnx")
    with pytest.raises(CustomModelUnusable, match="ended its trial process: SIGSEGV"):
        examine_file(tmp_path / "mine.onnx", None, None)


ENDINGS = {
    "an abort handler": (
        'print("Fatal:  no\\tway on", file=sys.stderr, flush=True)\nos._exit(3)',
        "with 3, which printed: Fatal: no way on",
    ),
    "in silence": ("os._exit(0)", "with 0"),
    "as programs end": ("sys.exit('enough')", "with 1, which printed: enough"),
}


@pytest.mark.parametrize("way", ENDINGS)
def test_what_ends_the_process_by_itself_is_refused_with_what_it_said_last(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, message = ENDINGS[way]
    onnx.save(classifier(), tmp_path / "mine.onnx")
    (tmp_path / "onnx.py").write_text(f"import os, sys\n{program}\n")  # stands for what a file's bytes make of the one that reads
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(CustomModelUnusable) as refused:
        examine_file(tmp_path / "mine.onnx", None, None)
    assert refused.value.because == f"reading it ended its trial process {message}"


def test_a_process_that_never_came_to_the_file_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(classifier(), tmp_path / "mine.onnx")
    (tmp_path / "sitecustomize.py").write_text("import os\nos.write(2, b'no interpreter')\nos._exit(1)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="mine.onnx did not start: no interpreter"):
        examine_file(tmp_path / "mine.onnx", None, None)


@pytest.mark.parametrize(
    ("raised", "package", "because"),
    [
        ("ModuleNotFoundError(\"No module named 'ml_dtypes'\", name='ml_dtypes')", "ml_dtypes", "No module named 'ml_dtypes'"),
        ("ImportError('libprotobuf.so: no such file', name='onnx.onnx_cpp2py_export')", "onnx", "libprotobuf.so: no such file"),
    ],
    ids=["missing", "broken"],
)
def test_a_package_that_cannot_be_imported_is_named_and_not_the_file(
    raised: str, package: str, because: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(classifier(), tmp_path / "mine.onnx")
    (tmp_path / "onnx.py").write_text(f"raise {raised}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EdgecnnError, check=PACKAGE_UNIMPORTABLE.made) as refused:
        examine_file(tmp_path / "mine.onnx", None, None)
    assert refused.value.line().startswith(
        f"{tmp_path}/mine.onnx needs the package {package}, which cannot be imported: {because}"
    )


def test_a_library_that_finds_no_memory_to_be_imported_in_was_crowded_out_by_the_file() -> None:
    def crowded() -> None:
        raise ImportError("libtorch.so: failed to map segment from shared object")

    fault = error_of(Path("mine.pt"), crowded)
    assert fault is not None and fault.because == "reading it takes more memory than allowed"


@needs_mount
def test_a_full_temporary_folder_is_named_and_not_the_file(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    onnx.save(wide(), tmp_path / "mine.onnx")
    program = """
import json, sys
from pathlib import Path
from edgecnn.errors.base import EdgecnnError
from edgecnn.graph.custom.trial import examine_file
try:
    examine_file(Path(sys.argv[1]), None, None)
except EdgecnnError as error:
    print(json.dumps(error.line()))
"""
    line = said_on({tmp_path / "tmp": "4m"}, program, str(tmp_path / "mine.onnx"), TMPDIR=str(tmp_path / "tmp"))
    assert line.startswith(f"there is no space left in the temporary folder {tmp_path}/tmp: ")
    assert "[temporary-folder-full]" in line


@pytest.mark.slow  # torch is started twice, and given time
def test_a_program_that_never_ends_and_one_too_deep_for_its_reader_are_refused(tmp_path: Path) -> None:
    endless = scripted(Endless(), tmp_path / "endless.pt")
    with pytest.raises(CustomModelUnusable, match="took more than 12 s"):
        examine_file(endless, "TorchScript", ImageSize.square(SIDE), limit_s=12)
    deep = rewritten(endless, tmp_path / "deep.pt", b"(" * 100_000 + b"x" + b")" * 100_000)
    with pytest.raises(EdgecnnError):
        examine_file(deep, "TorchScript", ImageSize.square(SIDE))


def test_a_program_that_prints_for_ever_is_ended_before_it_fills_the_disk(tmp_path: Path) -> None:
    talkative, begun = scripted(Talkative(), tmp_path / "talkative.pt"), time.monotonic()
    with pytest.raises(CustomModelUnusable, match="reading it writes more than the allowed 16 MiB") as refused:
        examine_file(talkative, "TorchScript", ImageSize.square(SIDE))
    assert refused.value.line().isprintable()
    assert time.monotonic() - begun < 100, "what it is given is 300 s"


def test_a_trunk_longer_than_what_may_be_said_is_written(tmp_path: Path) -> None:
    onnx.save(wide(), tmp_path / "mine.onnx")
    examine_file(tmp_path / "mine.onnx", None, None)


def test_a_reason_behind_a_long_name_is_not_cut_off(tmp_path: Path) -> None:
    model = classifier()
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    conv.name, conv.attribute[0].ints[:] = "layer/" * 100, [5, 5]
    onnx.save(model, tmp_path / "mine.onnx")
    with pytest.raises(CustomModelUnusable, match="kernel_shape"):
        examine_file(tmp_path / "mine.onnx", None, None)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.onnx")
    recipe = Recipe.model_validate({"model": {"onnx": str(tmp_path / "mine.onnx")}})
    with pytest.raises(
        EdgecnnError, match="it is a pipe, a socket or a device, not a regular file", check=CUSTOM_FILE_MISSING.made
    ):
        custom_model(recipe, cast(Any, None), tmp_path, Quiet())


def test_a_right_file_comes_through_whatever_lies_in_the_folder_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('this is not the library')\n")
    monkeypatch.chdir(tmp_path)
    onnx.save(classifier(softmax=True), tmp_path / "mine.onnx")
    examine_file(tmp_path / "mine.onnx", None, None)
