"""Identify a weights file from its header, and refuse a broken, foreign or unsafe one before any work.

Nothing in the file is run, and torch is not imported. A pickle is only listed by its opcodes. The bytes decide the format, not
the name, because the key of ``fetch`` depends on the bytes.
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
from edgecnn.store.disk import DAMAGED_ZIP, bounded_zip, refuse_known_cause
from edgecnn.values.arch import ArchSpec

WeightsFormat = Literal["safetensors", "torch"]

_ZIP: Final = b"PK\x03\x04"
_TORCH_BEFORE_1_6: Final = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""torch.serialization.MAGIC_NUMBER in pickle encoding. It starts files from before torch 1.6, which introduced zip, and most
files that torchvision publishes."""
_PICKLES_BEFORE_1_6: Final = 5
"""Magic number, protocol, system, the saved object, the keys of its tensors (torch.serialization._legacy_save)."""
_SAFETENSORS_HEADER_MAX: Final = 100_000_000
"""The limit of the safetensors library itself."""
_PICKLE_PROTOCOL_MAX: Final = 3
"""torch._weights_only_unpickler reads no later opcode; torch.save writes 2 by default."""
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
"""Types of training programs' arguments, by their pickle names. Paths become pure paths, which touch no file system."""
_PICKLE_LISTED_MAX: Final = 8 << 20
"""A larger pickle inside a zip, which may unpack to any size, is left to torch's own check."""
_OPCODES_LISTED_MAX: Final = 200_000
"""Opcodes of one file, about 0.2 s; later ones are left to torch's own check. A table of 1,548 tensors (EfficientNetV2-L) has
58,000 of them. Listing 360 tensors takes 15 to 20 ms, which every build waits for, even a cached one."""
_WHOLE: Final = "a whole network, not its weights; pass it with --model FILE"
_DAMAGED = (ValueError, KeyError, IndexError, TypeError, EOFError, OverflowError, MemoryError, struct.error)
"""Exceptions of pickletools and json on damaged bytes."""


def format_of(path: Path) -> WeightsFormat:
    """Return the format of a file that, by its header, is complete and contains only tensors.

    Damage inside the tensors' bytes is not checked. A truncated file from before torch 1.6 is detected only when it is read.

    Raises WEIGHTS_UNREADABLE: empty, truncated, damaged, another format, or not permitted. WEIGHTS_HOLD_OBJECTS: a whole model,
    an optimizer or another Python object was saved. WRONG_BYTES: see ``refuse_known_cause``.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES)
            file.seek(0)
            if head.startswith(_ZIP):
                return _torch_zip(path, file)
            if _TORCH_BEFORE_1_6 in head[:64]:
                _refuse_objects(path, file, pickles=_PICKLES_BEFORE_1_6)
                return "torch"
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
        raise WEIGHTS_UNREADABLE(path=path, reason=f"it is truncated in its header, after {size:,} bytes")
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
        raise WEIGHTS_UNREADABLE(path=path, reason=f"{fault}: its header states {promised:,} bytes, the file has {size:,}")
    return "safetensors"


def _torch_zip(path: Path, file: IO[bytes]) -> WeightsFormat:
    try:
        with bounded_zip(file) as archive:
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
        raise WEIGHTS_UNREADABLE(path=path, reason="it is damaged: a zip archive with an invalid table of contents") from error
    return "torch"


def _zip_like(names: Sequence[str]) -> str:
    if any(name.endswith("/archive_format") or name == "serialized_exported_program.json" for name in names):
        return f"a torch.export program, {_WHOLE}"
    if (foreign := form_of_zip(names)) is not None:
        return foreign.what
    return "a zip archive without tensors: if it contains a weights file, unpack it"


def _refuse_objects(path: Path, file: IO[bytes], *, pickles: int) -> None:
    """Refuse objects that a pickle would call. ``torch.load(weights_only=True)`` refuses more, and decides."""
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
    """Return whether torch._weights_only_unpickler allows the module, or it is a module of torch without layers."""
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
"""Suffixes of batch norm counters, which are not parameters."""


def parameters_that_ship(spec: ArchSpec, file: Path) -> int:
    """Return the parameter count of a network with these weights, without the auxiliary heads of training.

    ``file``: safetensors, as training writes it.
    """
    with open_regular(file) as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))  # see _safetensors
    return sum(
        prod(tensor["shape"])
        for name, tensor in header.items()
        if name != "__metadata__" and not name.endswith(STATISTICS) and not name.startswith(spec.left_behind)
    )
