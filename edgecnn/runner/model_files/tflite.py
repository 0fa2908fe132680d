"""The checks of a ``.tflite`` file, which LiteRT opens without checking a single offset.

The file is a FlatBuffer (https://flatbuffers.dev/internals). Field numbers below are those of its schema
(tensorflow/compiler/mlir/lite/schema/schema.fbs). A field without a number here is refused: a later schema may name files in it.
"""

from __future__ import annotations

import struct
from typing import Any, List, Mapping, Sequence, Tuple

_IDENTIFIER = b"TFL3"
_READS_MAX = 4000000
"""Number of tables and integers that are read at most. Vectors may share elements, so the file's size does not limit the work."""
_TENSOR_BYTES_MAX = 2**31 - 1
_BYTES_MAX = 4 << 30
"""Largest size of all tensors together, which the runtime allocates."""
_DIMENSIONS_MAX = 8
_WIDEST_NUMBER = 8

_BITS = {
    **dict.fromkeys((11,), 128),
    **dict.fromkeys((4, 8, 10, 12), 64),
    **dict.fromkeys((0, 2, 15), 32),
    **dict.fromkeys((1, 7, 16, 18), 16),
    **dict.fromkeys((3, 6, 9, 21, 22), 8),
    **dict.fromkeys((17, 20), 4),
    19: 2,
}
"""Bits of an element, by ``TensorType``. Strings, resources and variants are refused: no image classifier has them."""
_CUSTOM = 32
_LAST_OPERATOR = 161
"""The last ``BuiltinOperator`` that is allowed; later ones are StableHLO's, which contain subgraphs and names of functions."""
_REFUSED = {31: "CALL", 51: "DELEGATE", 118: "IF", 119: "WHILE", 127: "a placeholder", 129: "CALL_ONCE"}
_REFUSED.update({136: "HASHTABLE", 137: "HASHTABLE_FIND", 138: "HASHTABLE_IMPORT", 139: "HASHTABLE_SIZE"})
_REFUSED.update({142: "VAR_HANDLE", 143: "READ_VARIABLE", 144: "ASSIGN_VARIABLE"})
"""Operators that run other graphs or keep a state, and a placeholder."""
_BIASED = {3: 3, 4: 3, 9: 3, 67: 4}
"""Number of inputs of CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED and TRANSPOSE_CONV. The last input, a bias, may be absent."""
_VECTORS = {8: (5, 1), 17: (0, 4), 30: (0, 4)}
"""Field of the vector in the ``BuiltinOptions`` of FULLY_CONNECTED, RESHAPE and SQUEEZE, and the bytes of an element."""
_OPTIONS_REFUSED = (3, 111, 115)
"""Other ``BuiltinOptions`` with vectors or texts."""


def tflite_fault(name: str, content: Any, sizes: Mapping[str, int]) -> str:
    """Return what is wrong with a model, or an empty text; see ``model_fault``. Its weights are in the file itself."""
    try:
        _check_model(_Buffer(content))
    except _Fault as fault:
        return str(fault)
    return ""


class _Fault(Exception):
    pass


class _Buffer:
    """The file's bytes. A read outside the file raises ``_Fault``."""

    def __init__(self, content: Any) -> None:
        self._content, self.size, self._left = content, len(content), _READS_MAX

    def read(self, form: str, at: int) -> Tuple[Any, ...]:
        self.require(at, struct.calcsize("<" + form))
        return struct.unpack_from("<" + form, self._content, at)

    def bytes(self, at: int, length: int) -> bytes:
        self.require(at, length)
        return bytes(self._content[at : at + length])

    def require(self, at: int, length: int) -> None:
        if at < 0 or at + length > self.size:
            raise _Fault("it is damaged: an offset leads outside the file")

    def count(self, reads: int) -> None:
        self._left -= reads
        if self._left < 0:
            raise _Fault("it has more tensors and operators than any image classifier")


class _Table:
    """A table of the FlatBuffer. ``fields``: the number of fields in the schema, or None for any number."""

    def __init__(self, buffer: _Buffer, at: int, name: str, fields: Any) -> None:
        buffer.count(1)
        self._buffer, self._at, self._name = buffer, at, name
        (back,) = buffer.read("i", at)
        length, size = buffer.read("HH", at - back)
        if length < 4 or length % 2 or size < 4:
            raise _Fault("it is damaged: a table is shorter than its own header")
        buffer.require(at, size)
        buffer.count(length // 2)
        self._places = buffer.read("{}H".format(length // 2 - 2), at - back + 4)
        if any(place >= size for place in self._places):
            raise _Fault("it is damaged: a field lies outside its table")
        if fields is not None and any(self._places[fields:]):
            raise _Fault("its {} has a field that this version does not know".format(name))

    def has(self, field: int) -> bool:
        return field < len(self._places) and self._places[field] != 0

    def number(self, field: int, form: str, default: int = 0) -> int:
        return int(self._buffer.read(form, self._at + self._places[field])[0]) if self.has(field) else default

    def table(self, field: int, name: str, fields: Any) -> Any:
        return _Table(self._buffer, self._target(field), name, fields) if self.has(field) else None

    def tables(self, field: int, name: str, fields: int) -> List[_Table]:
        start, count = self._vector(field, 4)
        self._buffer.count(count)
        places = self._buffer.read("{}I".format(count), start)
        return [_Table(self._buffer, start + 4 * index + place, name, fields) for index, place in enumerate(places)]

    def length(self, field: int, width: int) -> int:
        """Return the number of elements of a vector, and check that it is inside the file."""
        return self._vector(field, width)[1]

    def integers(self, field: int) -> Tuple[int, ...]:
        start, count = self._vector(field, 4)
        self._buffer.count(count)
        return self._buffer.read("{}i".format(count), start)

    def text(self, field: int) -> str:
        start, count = self._vector(field, 1)
        if self.has(field) and self._buffer.bytes(start + count, 1) != b"\0":
            raise _Fault("it is damaged: a name has no end")
        return ascii(self._buffer.bytes(start, min(count, 100)).decode("utf-8", errors="replace"))

    def require_plain(self) -> None:
        """Refuse a table with a field that could be read beyond the end of the file, for a number of any width."""
        for place in filter(None, self._places):
            self._buffer.require(self._at + place, _WIDEST_NUMBER)

    def _target(self, field: int) -> int:
        at: int = self._at + self._places[field]
        return at + int(self._buffer.read("I", at)[0])

    def _vector(self, field: int, width: int) -> Tuple[int, int]:
        if not self.has(field):
            return 0, 0
        at = self._target(field)
        (count,) = self._buffer.read("I", at)
        self._buffer.require(at + 4, count * width)
        return at + 4, count


def _check_model(buffer: _Buffer) -> None:
    if buffer.size < 8 or buffer.bytes(4, 4) != _IDENTIFIER:
        raise _Fault("it is not a TensorFlow Lite model")
    model = _Table(buffer, buffer.read("I", 0)[0], "model", 10)
    groups = model.tables(8, "external buffer group", 1)
    if groups:
        raise _Fault("it reads weights from another file, {}".format(groups[0].text(0)))
    if model.length(9, 4):
        raise _Fault("it reads weights from another file")
    codes = [_operator_number(code) for code in model.tables(1, "operator code", 4)]
    graphs = model.tables(2, "graph", 6)
    if len(graphs) != 1:
        raise _Fault("it has {:,} graphs, and an image classifier has one".format(len(graphs)))
    sizes = [_buffer_bytes(buffer, entry) for entry in model.tables(4, "buffer", 3)]
    model.text(3)
    _require_indices("metadata", model.integers(5), 0, len(sizes))
    for entry in model.tables(6, "metadata", 2):
        entry.text(0)
        _require_indices("metadata", [entry.number(1, "I")], 0, len(sizes))
    tensors = _check_graph(graphs[0], codes, sizes)
    for signature in model.tables(7, "signature", 5):
        _require_indices("signature", [signature.number(4, "I")], 0, 1)
        signature.text(2)
        for end in signature.tables(0, "signature", 2) + signature.tables(1, "signature", 2):
            end.text(0)
            _require_indices("signature", [end.number(1, "I")], 0, tensors)


def _operator_number(code: _Table) -> int:
    """Return the operator's number: numbers that do not fit into a byte are in the newer field."""
    operator = max(code.number(0, "b"), code.number(3, "i"))
    if code.length(1, 1) or operator == _CUSTOM:
        raise _Fault("it has a custom operator, {}".format(code.text(1)))
    if operator in _REFUSED or not 0 <= operator <= _LAST_OPERATOR:
        raise _Fault("it has an operator that image classifiers do not need, {}".format(_REFUSED.get(operator, operator)))
    return operator


def _buffer_bytes(buffer: _Buffer, entry: _Table) -> int:
    """Return the size of a buffer, which is inside the FlatBuffer, or after it in the same file."""
    inside, start, size = entry.length(0, 1), entry.number(1, "Q"), entry.number(2, "Q")
    if start <= 1:  # the schema's mark of a buffer that is not after the FlatBuffer
        return inside
    if inside or start + size > buffer.size:
        raise _Fault("it is damaged: weights lie outside the file")
    return size


def _check_graph(graph: _Table, codes: Sequence[int], sizes: Sequence[int]) -> int:
    """Check a graph, and return the number of its tensors."""
    tensors = graph.tables(0, "tensor", 11)
    checked = [_check_tensor(tensor, sizes) for tensor in tensors]
    if sum(size for size, _ in checked) > _BYTES_MAX:
        raise _Fault("its tensors take more than {:,} bytes together".format(_BYTES_MAX))
    graph.text(4)
    for field in (1, 2):
        _require_indices("graph", graph.integers(field), 0, len(tensors))
    written = list(graph.integers(1))
    for operator in graph.tables(3, "operator", 14):
        place = operator.number(0, "I")
        _require_indices("operator", [place], 0, len(codes))
        inputs = operator.integers(1)
        bias = inputs[-1:] if len(inputs) == _BIASED.get(codes[place]) else ()
        _require_indices("operator", inputs[: len(inputs) - len(bias)], 0, len(tensors))
        _require_indices("operator", bias, -1, len(tensors))
        _require_indices("operator", operator.integers(2), 0, len(tensors))
        _require_indices("operator", operator.integers(8), 0, len(tensors))
        _check_options(operator)
        written += operator.integers(2)
    if any(checked[index][1] for index in written):
        raise _Fault("it would write over its own weights")
    return len(tensors)


def _check_tensor(tensor: _Table, sizes: Sequence[int]) -> Tuple[int, bool]:
    """Check a tensor; return its bytes, and whether they are in the file, which is mapped as read-only."""
    name, kind, place = tensor.text(3), tensor.number(1, "b"), tensor.number(2, "I")
    if tensor.number(10, "I"):
        raise _Fault("its tensor {} is read from another file".format(name))
    if tensor.has(6) or tensor.has(9):
        raise _Fault("its tensor {} is sparse or a variant".format(name))
    _require_indices("tensor", [place], 0, len(sizes))
    if kind not in _BITS:
        raise _Fault("its tensor {} is of the unknown type {}".format(name, kind))
    if max(tensor.length(0, 4), tensor.length(7, 4)) > _DIMENSIONS_MAX:
        raise _Fault("its tensor {} has more than {} dimensions".format(name, _DIMENSIONS_MAX))
    shape, bits = tensor.integers(0), _BITS[kind]
    for side in shape:
        bits *= side
    wanted = (bits + 7) // 8
    if min(shape, default=0) < 0 or wanted > _TENSOR_BYTES_MAX or min(tensor.integers(7), default=0) < -1:
        raise _Fault("its tensor {} has the shape {}".format(name, list(shape)))
    if sizes[place] and sizes[place] < wanted:
        raise _Fault("its tensor {} would take {:,} bytes, and has {:,}".format(name, wanted, sizes[place]))
    quantization = tensor.table(4, "quantization", 7)
    if quantization is not None:
        _check_quantization(quantization, name, shape)
    return wanted, sizes[place] > 0


def _check_quantization(quantization: _Table, name: str, shape: Sequence[int]) -> None:
    scales, zero_points, axis = quantization.length(2, 4), quantization.length(3, 8), quantization.number(6, "i")
    channels = shape[axis] if 0 <= axis < len(shape) else 1
    if scales not in (0, 1, channels) or zero_points not in (0, 1, scales) or quantization.has(5):
        raise _Fault("its tensor {} is quantized in a form that no kit has".format(name))
    for field in (0, 1):
        quantization.length(field, 4)


def _check_options(operator: _Table) -> None:
    if operator.length(5, 1) or operator.number(9, "Q") or operator.number(10, "Q"):
        raise _Fault("it has a custom operator")
    kind = operator.number(3, "B")
    if kind in _OPTIONS_REFUSED or operator.has(12):
        raise _Fault("it has an operator that image classifiers do not need")
    operator.length(7, 1)
    options = operator.table(4, "options", None)
    if options is None:
        return
    options.require_plain()
    if kind in _VECTORS:
        options.length(*_VECTORS[kind])


def _require_indices(whose: str, indices: Sequence[int], lowest: int, limit: int) -> None:
    for index in indices:
        if not lowest <= index < limit:
            raise _Fault("it is damaged: its {} names entry {} of {}".format(whose, index, limit))
