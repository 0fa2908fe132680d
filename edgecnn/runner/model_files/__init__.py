"""Check the names in a kit's model files before a runtime opens one. ``bundle verify`` uses this check too.

ONNX alone names files of weights. edgecnn runs kits from elsewhere in a sandbox, so the other contents of a model need no check.
"""

from __future__ import annotations

import mmap
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Iterator, Mapping

from ..messages import RunnerError
from .onnx_files import onnx_fault

if TYPE_CHECKING:
    from ..kit import Kit

_ENTRIES = (".onnx", ".param", ".tflite", ".xml")
_CHECKED = ".onnx"
_TORCH = "torch_gpu"
"""A program of torch runs on the machine that made it: no bundle contains one, and torch checks the archive that it loads."""


def is_checked(name: str) -> bool:
    """Whether a file of this name is a model that is checked here."""
    return PurePosixPath(name).suffix == _CHECKED


def model_fault(name: str, content: Any, sizes: Mapping[str, int]) -> str:
    """Return why a model file must not be opened, or an empty text.

    Args:
        name: the file's name, without its folder.
        content: its bytes, or the file mapped into memory.
        sizes: bytes of every file in its folder that the kit lists, by name.
    """
    return onnx_fault(name, content, sizes)


def check_model(kit: Kit) -> None:
    """Refuse a kit with a model file that must not be opened. A second call for the same kit reads nothing.

    Raises:
        RunnerError: model-refused, naming the file and the reason.
    """
    if kit.models_checked_in == kit.folder:
        return
    entry = kit.manifest.model.entry
    if PurePosixPath(entry).suffix not in _ENTRIES and kit.manifest.session.module != _TORCH:
        raise _refused(entry, "a model ends in {}".format(", ".join(_ENTRIES)))
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
