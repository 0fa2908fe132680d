"""Check a kit's model files before a runtime opens one, one module for each format. ``bundle verify`` uses these checks too.

A runtime trusts a model file: it reads weights from any file that the model names, and allocates what a shape says.
"""

from __future__ import annotations

import mmap
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Iterator, Mapping

from ..messages import RunnerError
from .ncnn_param import INPUT, param_fault
from .onnx_files import onnx_fault
from .openvino_ir import ir_fault
from .tflite import tflite_fault

if TYPE_CHECKING:
    from ..kit import Kit

_CHECKS = {
    ".onnx": onnx_fault,
    ".xml": ir_fault,
    ".tflite": tflite_fault,
    ".param": param_fault,
}
_TORCH = "torch_gpu"
"""A program of torch runs on the machine that made it: no bundle contains one, and torch checks the archive that it loads."""


def is_checked(name: str) -> bool:
    """Whether a file of this name is a model that is checked here."""
    return PurePosixPath(name).suffix in _CHECKS


def model_fault(name: str, content: Any, sizes: Mapping[str, int]) -> str:
    """Return why a model file must not be opened, or an empty text.

    Args:
        name: the file's name, without its folder.
        content: its bytes, or the file mapped into memory.
        sizes: bytes of every file in its folder that the kit lists, by name.
    """
    return _CHECKS[PurePosixPath(name).suffix](name, content, sizes)


def check_model(kit: Kit) -> None:
    """Refuse a kit with a model file that must not be opened. A second call for the same kit reads nothing.

    Raises:
        RunnerError: model-refused, naming the file and the reason.
    """
    if kit.models_checked_in == kit.folder:
        return
    entry = kit.manifest.model.entry
    if not is_checked(entry) and kit.manifest.session.module != _TORCH:
        raise _refused(entry, "a model ends in {}".format(", ".join(sorted(_CHECKS))))
    if entry.endswith(".param") and kit.manifest.model.input.name != INPUT:
        raise _refused(entry, "the kit feeds {}, not {}".format(ascii(kit.manifest.model.input.name)[:100], INPUT))
    paths = {name: kit.path(name) for name in kit.manifest.files}
    sizes = {name: path.stat().st_size for name, path in paths.items() if path.is_file()}
    for name in filter(is_checked, sizes):
        fault = _fault_on_disk(paths[name], FolderSizes(sizes, name))
        if fault:
            raise _refused(name, fault)
    kit.models_checked_in = kit.folder


class FolderSizes(Mapping[str, int]):
    """Sizes of the files in a model's folder, by their path in that folder. A view, since a kit may have thousands of models."""

    def __init__(self, sizes: Mapping[str, int], model: str) -> None:
        """Take the sizes of all files by their path in the kit, and the path of the model."""
        self._sizes, self._folder = sizes, model[: model.rfind("/") + 1]

    def __getitem__(self, name: str) -> int:
        return self._sizes[self._folder + name]

    def __iter__(self) -> Iterator[str]:
        return (path[len(self._folder) :] for path in self._sizes if path.startswith(self._folder))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _refused(name: str, why: str) -> RunnerError:
    what = "{}: the model file was refused".format(name)
    return RunnerError("model-refused", what, why, "copy the kit again from the machine that built it")


def _fault_on_disk(path: Path, sizes: Mapping[str, int]) -> str:
    """Return ``model_fault`` of a file. It is mapped, so that its weights do not count as memory of the session."""
    with path.open("rb") as stream:
        if sizes[path.name] == 0:
            return model_fault(path.name, b"", sizes)
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return model_fault(path.name, content, sizes)
