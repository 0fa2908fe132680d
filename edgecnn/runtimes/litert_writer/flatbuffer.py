"""A LiteRT model under construction: tensors, constants and operators of one subgraph, and the FlatBuffer that holds them.

Names are those of the schema: https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Array = npt.NDArray[Any]
BYTES_MAX: Final = 2**31 - 1
"""A FlatBuffer counts its bytes in 32 bits with a sign."""
_COMPARED_BYTES: Final = 1 << 16
"""Larger constants are not compared with earlier ones."""
_STRUCTURE_BYTES: Final = 1 << 20
"""About the size of the tables of a large network."""
FLOAT: Final = int(schema.TensorType.FLOAT32)
_KINDS: Final = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.bool_): schema.TensorType.BOOL,
}
_VERSIONS: Final = {schema.BuiltinOperator.BROADCAST_TO: 2, schema.BuiltinOperator.TRANSPOSE_CONV: 3}
"""Versions of operators whose first version no interpreter has or lacks a used feature; other operators have version 1."""
_SIGNATURE: Final = b"serving_default"
_FILE_IDENTIFIER: Final = b"TFL3"
_VERSION: Final = 3


class _Constant(schema.BufferT):  # type: ignore[misc]  # the schema's module has no types
    """A buffer whose bytes are copied once into the file; the schema's own ``Pack`` copies them three times."""

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the schema's name
        builder.StartVector(1, self.data.size, 1)
        end = builder.head
        builder.head -= self.data.size
        np.frombuffer(builder.Bytes, np.uint8)[builder.head : end] = self.data
        builder.vectorNumElems = self.data.size
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


class TooLarge(Exception):
    """Raised when a model would be larger than a FlatBuffer may be."""


class LitertNetwork:
    """Tensors are numbered in the order of their creation; operators run in the order in which they are added."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._names: dict[str, int] = {}
        self._buffers: list[Any] = [schema.BufferT()]  # the schema asks for an empty first one
        self._operators: list[Any] = []
        self._codes: list[int] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def tensor(self, name: str, shape: Sequence[int], buffer: int = 0, kind: int = FLOAT) -> int:
        """Add a tensor and return its number. The name gets a suffix if another tensor has it."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        tensor = schema.TensorT()
        tensor.name = f"{name}:{count}".encode() if count else name.encode()  # LiteRT's quantizer identifies tensors by name
        tensor.shape, tensor.type, tensor.buffer = np.array(shape, np.int32), kind, buffer
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def constant(self, values: Array, name: str = "constant") -> int:
        """Add a constant of type float32, int32 or bool, and return its number. Equal small constants are added once."""
        content = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        identity = content.tobytes() if content.size <= _COMPARED_BYTES else len(self._buffers).to_bytes(8, "little")
        key = (values.dtype.str, values.shape, identity)
        if key not in self._constants:
            buffer = _Constant()
            buffer.data = content
            self._buffers.append(buffer)
            number = self.tensor(name, values.shape, len(self._buffers) - 1, _KINDS[values.dtype])
            self._constants[key] = number
        return self._constants[key]

    def kind(self, tensor: int) -> int:
        """Return the element type of a tensor, a ``TensorType`` of the schema."""
        return int(self._tensors[tensor].type)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(int(size) for size in self._tensors[tensor].shape)

    def add(self, operator: str, inputs: Sequence[int], outputs: Sequence[int], table: str = "", **options: Any) -> None:
        """Add an operator.

        Args:
            operator: its name in the schema's ``BuiltinOperator``.
            inputs: numbers of tensors.
            outputs: numbers of tensors.
            table: the schema's table of options; empty if the operator has none.
            **options: fields of that table.
        """
        code = getattr(schema.BuiltinOperator, operator)
        if code not in self._codes:
            self._codes.append(code)
        added = schema.OperatorT()
        added.opcodeIndex = self._codes.index(code)
        added.inputs, added.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if table:
            added.builtinOptions = getattr(schema, f"{table}T")()
            added.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            for field, value in options.items():
                if not hasattr(added.builtinOptions, field):
                    raise AttributeError(f"{table} has no field {field}")
                setattr(added.builtinOptions, field, value)
        self._operators.append(added)

    def serialize(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the file's content. The signature uses the names of the input and output tensors. Raises TooLarge."""
        content = sum(len(buffer.data) for buffer in self._buffers if buffer.data is not None)
        if content + _STRUCTURE_BYTES > BYTES_MAX:
            raise TooLarge
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = b"main", self._tensors, self._operators
        graph.inputs, graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = _SIGNATURE, 0
        signature.inputs, signature.outputs = self._tensor_maps(inputs), self._tensor_maps(outputs)
        model = schema.ModelT()
        model.version, model.description = _VERSION, b"edgecnn"
        model.subgraphs, model.buffers, model.signatureDefs = [graph], self._buffers, [signature]
        model.operatorCodes = []
        for code in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.version = code, _VERSIONS.get(code, 1)
            entry.deprecatedBuiltinCode = min(code, 127)  # the field that older readers use, whose maximum is 127
            model.operatorCodes.append(entry)
        builder = flatbuffers.Builder(content + _STRUCTURE_BYTES)  # a builder that grows copies its bytes
        builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
        return bytes(memoryview(builder.Bytes)[builder.Head() :])  # builder.Output() makes another copy

    def _tensor_maps(self, tensors: Sequence[int]) -> list[Any]:
        entries = []
        for number in tensors:
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = self._tensors[number].name, number
            entries.append(entry)
        return entries
