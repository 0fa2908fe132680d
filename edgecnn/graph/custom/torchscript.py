"""Read TorchScript files: programs in torch's own language, which ``torch.jit.load`` parses and partly runs.

Python unpickles nothing in such a file; torch's own reader reads its tables, and knows only TorchScript's types. A program may
call operators, and a few of those open files by name, so its text is checked before torch sees it.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final

import torch

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import (
    CUSTOM_MODEL_HOLDS_OBJECTS,
    INPUT_SIZE_OPEN,
    STATE_SIZE,
    custom_model_unusable,
)
from edgecnn.errors.wording import reason_in
from edgecnn.graph.custom.form import COLOURS, answer_entry, entries_of, write_archive
from edgecnn.graph.export import quiet_exporter
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.custom_model import GraphEntry
from edgecnn.values.model_file import TRUNK_OPSET

_FILES: Final = frozenset(("save", "load", "from_file", "hub", "classes"))
_SPACES: Final = frozenset(("aten", "prim", "prims", "quantized"))
"""Namespaces of torch's own operators. Other packages imported in this process add their own, some of which open files."""
_BATCHES: Final = (3, 1, 2, 4, 8, 16, 32, 64)
"""Batch sizes in the order of trial, for a program traced with a fixed one. Three is first, because few programs have it."""
_ROUNDS: Final = ("aten::quantize_per_tensor", "aten::fake_quantize_per_tensor_affine", "aten::fake_quantize_per_channel_affine")
"""Operators that round to integers. In ONNX they become QuantizeLinear and DequantizeLinear."""
_OTHER_DEVICE: Final = re.compile(r'Device = prim::Constant\[value="((?:cuda|mps|xpu|hpu)[^"]*)"\]')
_PASSED_ON: Final = tuple(
    f"aten::{name}"
    for name in ("clone", "dropout", "contiguous", "detach", "alias", "to", "squeeze", "unsqueeze", "flatten", "view", "reshape")
)


def load_script(path: Path) -> torch.jit.ScriptModule:
    """Load the program on this computer's CPU, in evaluation mode.

    Raises CUSTOM_MODEL_HOLDS_OBJECTS: it calls operators that open files, or are not torch's. CustomModelUnusable: torch cannot
    load it.
    """
    entries = entries_of(path)
    for text in _program_texts(path, entries):
        if (called := _foreign_call(path, text)) is not None:
            raise CUSTOM_MODEL_HOLDS_OBJECTS(path=path, found=f"a call of {called}, which is not a tensor operator")
    try:
        with quiet_exporter():
            module: torch.jit.ScriptModule = torch.jit.load(write_archive(entries), map_location="cpu")  # type: ignore[no-untyped-call]
            module.eval()
    except Exception as error:  # noqa: BLE001 - torch's core raises RuntimeError and others
        raise custom_model_unusable(path=path, because=f"torch cannot load it: {first_line(error)}") from error
    return module


def read_script(path: Path, resolution_px: ImageSize | None) -> tuple[GraphEntry, int]:
    """Return the input and output of a TorchScript file, found by running it on plain images, and its number of parameters.

    ``resolution_px``: H and W of the images, which the file does not state. Raises InputSizeOpen: the image size is unknown.
    CustomModelUnusable: it is not an image classifier. CUSTOM_MODEL_HOLDS_OBJECTS: see ``load_script``.
    """
    if resolution_px is None:
        raise INPUT_SIZE_OPEN(path=path, because="a TorchScript file does not say how large its images are")
    module = load_script(path)
    operators = {node.kind() for node in module.inlined_graph.nodes()}
    if dynamic := sorted(kind for kind in operators if kind.startswith("quantized::") and "dynamic" in kind):
        because = (
            f"it is quantized dynamically ({dynamic[0]}), so its output for an image depends on the other images in the batch"
        )
        raise custom_model_unusable(path=path, because=because, hint="use its float network, or quantize it statically")
    is_quantized = any(kind.startswith("quantized::") or kind in _ROUNDS for kind in operators)
    floats = [parameter for parameter in module.parameters() if parameter.is_floating_point()]
    dtype = "float16" if floats and floats[0].dtype == torch.float16 else "float32"
    (colours, layout, batch), answer = _find_input_format(path, module, resolution_px, dtype)
    graph = module.inlined_graph  # its values are removed with it
    value = next(iter(graph.outputs()))
    while value.node().kind() in _PASSED_ON:
        value = next(iter(value.node().inputs()))
    end = {"aten::softmax": "softmax", "aten::sigmoid": "sigmoid"}.get(value.node().kind())
    entry = GraphEntry.model_validate(
        {
            **answer_entry("logits", tuple(answer.shape), (end, end), batch, path),
            "input": "image",
            "layout": layout,
            "colours": colours,
            "dtype": dtype,
            "resolution_px": resolution_px,
            "batch": None if batch == _BATCHES[0] else batch,
            "opset": TRUNK_OPSET,
            "form": "TorchScript",
            "quantized": "Q/DQ" if is_quantized else None,
        }
    )
    return entry, max(1, sum(parameter.numel() for parameter in module.parameters()))


def first_line(error: Exception) -> str:
    """Return torch's message without its traceback of the program."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    errors = [line for line in lines if "Error: " in line]
    return reason_in(errors[-1] if errors else lines[0]) if lines else type(error).__name__


@cache
def _torch_operators() -> frozenset[str]:
    return frozenset(schema.name for schema in torch._C._jit_get_all_schemas())


def _foreign_call(path: Path, text: str) -> str | None:
    """Return the first use of ``torch`` or ``ops`` that does not call an operator, however it is spaced."""
    try:
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        words = [token.string for token in tokens if token.type not in (tokenize.NL, tokenize.COMMENT)]
    except (tokenize.TokenError, SyntaxError) as error:
        raise _unreadable(path) from error
    for at, word in enumerate(words):
        if word not in ("torch", "ops") or (at and words[at - 1] == "."):
            continue  # after a dot it is part of a class's path
        path_words = words[at : at + (3 if word == "torch" else 5)]  # torch.relu, ops.aten.relu
        space, name = ("aten" if word == "torch" else path_words[2:3], path_words[-1])
        if path_words[1::2] != ["."] * (len(path_words) // 2) or not _is_tensor_operator("".join(space), name):
            return "".join(path_words)
    return None


def _is_tensor_operator(space: str, name: str) -> bool:
    return space in _SPACES and f"{space}::{name}" in _torch_operators() and name not in _FILES


def _unreadable(path: Path) -> EdgecnnError:
    return custom_model_unusable(
        path=path, because="it is damaged: its program cannot be read", hint="copy the complete file again"
    )


def _program_texts(path: Path, entries: Mapping[str, bytes]) -> Iterator[str]:
    """Return the program's text, ignoring case in file names, as torch does."""
    for name, held in entries.items():
        if name.lower().startswith("code/") and name.lower().endswith(".py"):
            try:
                yield held.decode("utf-8")
            except UnicodeDecodeError as error:
                raise _unreadable(path) from error


def _find_input_format(
    path: Path, module: torch.jit.ScriptModule, size: ImageSize, dtype: str
) -> tuple[tuple[int, str, int], torch.Tensor]:
    """Return the colours, layout and batch size that it accepts, and its output."""
    first_reason = ""
    for colours, layout, batch in product(COLOURS, ("NCHW", "NHWC"), _BATCHES):
        shape = (batch, colours, *size) if layout == "NCHW" else (batch, *size, colours)
        try:
            with torch.inference_mode(), quiet_exporter():
                answer: Any = module(torch.full(shape, 0.25, dtype=getattr(torch, dtype)))
        except Exception as error:  # noqa: BLE001 - torch's core raises RuntimeError and others
            first_reason = first_reason or first_line(error)
            continue
        if not isinstance(answer, torch.Tensor):
            because = f"a classifier has one output, but this returns a {type(answer).__name__}"
            hint = "wrap it in a module whose forward gives the logits alone"
            raise custom_model_unusable(path=path, because=because, hint=hint)
        if answer.ndim != 2 or answer.shape[0] == batch:
            return (colours, layout, batch), answer
    if (device := _OTHER_DEVICE.search(str(module.inlined_graph))) is not None:
        because = f"its program puts tensors on the device {device[1]}: {first_reason}"
        hint = "move the network to the CPU before tracing it: torch.jit.trace(model.cpu().eval(), example)"
        raise custom_model_unusable(path=path, because=because, hint=hint)
    because = f"it does not run on images of {size} pixels: {first_reason}"
    raise custom_model_unusable(path=path, because=because, hint=STATE_SIZE)
