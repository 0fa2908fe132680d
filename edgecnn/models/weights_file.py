"""What a weights file is and holds, told from its header: a broken, foreign or unsafe one is refused before any work begins.

Nothing in the file is run and torch is not imported. A pickle is only listed, by the opcodes it consists of. The format is told
from the bytes and not from the name, since it is the bytes that the key of ``fetch`` knows.
"""

from __future__ import annotations

import json
import os
import pickletools
import struct
import zipfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Final, Literal

from edgecnn.errors.base import system_reason
from edgecnn.errors.weights import WEIGHTS_UNREADABLE, weights_hold_objects
from edgecnn.models.foreign_files import HEAD_BYTES, form_of_head, form_of_zip
from edgecnn.runner.files import open_regular
from edgecnn.store.disk import DAMAGED_ZIP, refuse_known_cause
from edgecnn.values.arch import ArchSpec

WeightsFormat = Literal["safetensors", "torch"]

_ZIP: Final = b"PK\x03\x04"
_TORCH_BEFORE_1_6: Final = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""torch.serialization.MAGIC_NUMBER as a pickle spells it. Files from before zip became the format (1.6) begin with it, and so do
most that torchvision publishes."""
_PICKLES_BEFORE_1_6: Final = 5
"""Magic number, protocol, system, the saved object, the keys of its tensors (torch.serialization._legacy_save)."""
_SAFETENSORS_HEADER_MAX: Final = 100_000_000
"""The bound that the safetensors library itself sets."""
_PICKLE_PROTOCOL_MAX: Final = 3
"""torch._weights_only_unpickler knows no opcode of later ones; torch.save writes 2 unless told otherwise."""
SAVED_ARGUMENTS: Final[Mapping[str, type]] = {
    "argparse.Namespace": Namespace,
    **{
        f"{module}.{flavour}Path": kind
        for module in ("pathlib", "pathlib._local")  # the second is Python 3.13's
        for flavour, kind in (
            ("Posix", PurePosixPath),
            ("PurePosix", PurePosixPath),
            ("Windows", PureWindowsPath),
            ("PureWindows", PureWindowsPath),
        )
    },
}
"""What training programs save of their arguments, by the name in a pickle. Paths become such as touch no file system."""
_PICKLE_LISTED_MAX: Final = 8 << 20
"""A larger pickle inside a zip, which may unpack to any size, is left to torch's own refusal."""
_OPCODES_LISTED_MAX: Final = 200_000
"""Of one file, about 0.2 s: what comes after them is left to torch's own refusal. A table of 1,548 tensors (EfficientNetV2-L) has
58,000 of them; 360 tensors take 15 to 20 ms to list, which every build waits for, a cached one too."""
_WHOLE: Final = "a whole network and not its weights: --model FILE takes it"
_DAMAGED = (ValueError, KeyError, IndexError, TypeError, EOFError, OverflowError, MemoryError, struct.error)
"""Exceptions of pickletools and json on damaged bytes."""


def format_of(path: Path) -> WeightsFormat:
    """The format of a file that is worth reading: whole, as far as its header tells, and of tensors alone.

    Damage inside the tensors' own bytes is not looked for, and a cut at the end of a file from before torch 1.6 is found only
    when it is read.

    Raises WEIGHTS_UNREADABLE: empty, cut off, damaged, of another format, or not permitted. WEIGHTS_HOLD_OBJECTS: a whole
    model, an optimizer or any other Python object was saved. WRONG_BYTES: see ``refuse_known_cause``.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES)
            file.seek(0)
            if head.startswith(_ZIP):
                return _torch_zip(path, file)
            if _TORCH_BEFORE_1_6 in head[:64]:
                return _torch_before_1_6(path, file)
            if head[8:9] == b"{":
                return _safetensors(path, file, size)
    except OSError as error:
        raise WEIGHTS_UNREADABLE(path=path, reason=system_reason(error)) from error
    refuse_known_cause(path, head)
    raise WEIGHTS_UNREADABLE(path=path, reason=f"it looks like {_looks_like(head)}" if head else "it is empty")


def _safetensors(path: Path, file: IO[bytes], size: int) -> WeightsFormat:
    """https://huggingface.co/docs/safetensors: 8 bytes of length (little-endian), that much JSON, then the tensors."""
    length = int.from_bytes(file.read(8), "little")
    if length > _SAFETENSORS_HEADER_MAX:
        raise WEIGHTS_UNREADABLE(path=path, reason="it looks like a text file or a damaged .safetensors file")
    if 8 + length > size:
        raise WEIGHTS_UNREADABLE(path=path, reason=f"it is cut off within its header, after {size:,} bytes")
    try:
        header = json.loads(file.read(length))
        ends = [int(tensor["data_offsets"][1]) for name, tensor in header.items() if name != "__metadata__"]
    except (*_DAMAGED, AttributeError, RecursionError) as error:
        raise WEIGHTS_UNREADABLE(path=path, reason="its header is damaged") from error
    if not ends:
        raise WEIGHTS_UNREADABLE(path=path, reason="it holds no tensor")
    promised = 8 + length + max(ends)
    if promised != size:
        fault = "it is cut off" if promised > size else "something was appended"
        raise WEIGHTS_UNREADABLE(path=path, reason=f"{fault}: its header counts {promised:,} bytes, the file has {size:,}")
    return "safetensors"


def _torch_zip(path: Path, file: IO[bytes]) -> WeightsFormat:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            pickled = next((name for name in names if name.endswith("/data.pkl") and name.count("/") == 1), None)
            if pickled is None:
                raise WEIGHTS_UNREADABLE(path=path, reason=f"it looks like {_zip_like(names)}")
            if pickled.replace("data.pkl", "constants.pkl") in names:
                raise WEIGHTS_UNREADABLE(path=path, reason=f"it is a TorchScript program, {_WHOLE}")
            if archive.getinfo(pickled).file_size <= _PICKLE_LISTED_MAX:
                with archive.open(pickled) as content:
                    _refuse_objects(path, content, pickles=1)
    except zipfile.BadZipFile as error:
        raise WEIGHTS_UNREADABLE(path=path, reason="it is cut off: a torch file (a zip archive) without its end") from error
    except (*_DAMAGED, *DAMAGED_ZIP) as error:
        raise WEIGHTS_UNREADABLE(path=path, reason="it is damaged: a zip archive whose table of contents is not right") from error
    return "torch"


def _zip_like(names: Sequence[str]) -> str:
    if any(name.endswith("/archive_format") or name == "serialized_exported_program.json" for name in names):
        return f"a torch.export program, {_WHOLE}"
    if (foreign := form_of_zip(names)) is not None:
        return foreign.what
    return "a zip archive of something else than tensors: unpack it first, if a weights file is in it"


def _torch_before_1_6(path: Path, file: IO[bytes]) -> WeightsFormat:
    _refuse_objects(path, file, pickles=_PICKLES_BEFORE_1_6)
    return "torch"


def _refuse_objects(path: Path, file: IO[bytes], *, pickles: int) -> None:
    """List what a pickle would call. ``torch.load(weights_only=True)`` refuses more than this does, and has the last word."""
    names: dict[str, None] = {}
    listed = chain.from_iterable(pickletools.genops(file) for _ in range(pickles))
    try:
        for opcode, argument, _ in islice(listed, _OPCODES_LISTED_MAX):
            if opcode.name == "PROTO" and int(argument or 0) > _PICKLE_PROTOCOL_MAX:
                reason = f"it was saved with pickle_protocol={argument}, and later than {_PICKLE_PROTOCOL_MAX} is not read"
                raise WEIGHTS_UNREADABLE(path=path, reason=reason)
            if opcode.name not in ("GLOBAL", "INST"):
                continue
            module, _, name = str(argument).partition(" ")
            if f"{module}.{name}" not in SAVED_ARGUMENTS and not _may_be_of_tensors(module):
                names[f"{module}.{name}"] = None
    except _DAMAGED as error:
        raise WEIGHTS_UNREADABLE(path=path, reason="it is cut off or damaged: its table of tensors cannot be read") from error
    if names:
        raise weights_hold_objects(path=path, names=list(names))


def _may_be_of_tensors(module: str) -> bool:
    """Modules that some name allowed by torch._weights_only_unpickler is in, and torch's others but for its layers."""
    if module in ("_codecs", "builtins", "__builtin__", "collections", "torch"):
        return True
    return module.startswith("torch.") and not module.startswith(("torch.nn.modules", "torch.optim"))


def _looks_like(head: bytes) -> str:
    if head[:1] == b"\x80":
        return "a Python pickle that torch did not write"
    if (foreign := form_of_head(head)) is not None:
        return foreign.what
    if head[:1] == b"\x08" and head[2:3] in (b"\x12", b"\x3a", b"\x42"):  # ModelProto: ir_version, then producer, graph or opset
        return "an ONNX model"
    return "neither a .safetensors nor a torch file"


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""How the names of what batch norms counted end, which is no parameter."""


def parameters_that_ship(spec: ArchSpec, file: Path) -> int:
    """Of a network with these weights, without the auxiliary heads that only helped it to learn.

    ``file``: safetensors, as training writes it.
    """
    return sum(
        prod(shape)
        for name, shape in _shapes(file).items()
        if not name.endswith(STATISTICS) and not name.startswith(spec.left_behind)
    )


def _shapes(file: Path) -> dict[str, Sequence[int]]:
    """https://huggingface.co/docs/safetensors: 8 bytes of length (little-endian), and that much JSON."""
    with open_regular(file) as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return {name: tensor["shape"] for name, tensor in header.items() if name != "__metadata__"}
