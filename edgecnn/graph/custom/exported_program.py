"""Read a torch.export file (.pt2) without loading it, and refuse files that would run more than a network when loaded.

``torch.export.load`` (torch 2.15) unpickles every weight and constant marked ``use_pickle`` without any check. It looks operators
up by a dotted name anywhere below ``torch``, and imports types that the trees of inputs and outputs name. It passes sizes to
sympy, which evaluates them as Python. All of these are therefore checked here, as JSON, before torch sees the file.
"""

from __future__ import annotations

import io
import json
import keyword
import re
from collections.abc import Container, Iterator
from math import prod
from pathlib import Path
from typing import Any, Final

from edgecnn.errors.custom_model import CUSTOM_MODEL_HOLDS_OBJECTS, custom_model_unusable
from edgecnn.graph.custom.form import answer_entry, entries_of, image_entry, only_one, write_archive
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.custom_model import GraphEntry
from edgecnn.values.model_file import TRUNK_OPSET

_MODEL: Final = "models/model.json"
_CONFIGS: Final = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_TABLES: Final = (*_CONFIGS, "archive_format", "archive_version", ".data/version", "byteorder")
_EXAMPLES: Final = ("data/sample_inputs/model.pt",)
_TENSOR: Final = re.compile(r"data/(weights|constants)/(weight|tensor)_\d+", re.ASCII)
_DTYPES: Final = {1: "uint8", 6: "float16", 7: "float32"}
"""torch._export.serde.schema.ScalarType."""
_OPERATORS: Final = re.compile(r"torch\.ops\.aten\.\w+\.\w+|_operator\.\w+|math\.[a-z]\w*|torch\.sym_[a-z]+")
_OF_FILES: Final = re.compile(r"torch\.ops\.aten\.(from_file|save|load)\b")
_OPERATOR_MODULE: Final = frozenset(
    ("add", "sub", "mul", "truediv", "floordiv", "mod", "neg", "pow", "eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "not_")
    + ("getitem",)
)
_WORDS: Final = re.compile(r"[A-Za-z_]\w*")
_SIZES: Final = re.compile(r"[\w\s+\-*/%(),=<>.']*")
_SIZE_WORDS: Final = re.compile(
    r"(Symbol|Integer|positive|negative|integer|nonnegative|True|False|int_oo|oo|(?:zuf|zf|s|u)\d+|FloorDiv|CeilDiv|Mod|PythonMod|"
    r"ModularIndexing|CleanDiv|Max|Min|IntTrueDiv|TruncToInt|ToFloat)"
)
_NAME: Final = re.compile(r"\w+(\.\w+)*", re.ASCII)
_NAMED: Final = re.compile(r"(\w+_)?name|fqn|class_fqn")
_VALUES: Final = ("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values", "custom_obj_values", "config")
_TREES: Final = ("builtins.tuple", "builtins.list", "builtins.dict", None)
_PASSED_ON: Final = re.compile(
    r"torch\.ops\.aten\.(clone|alias|contiguous|dropout|detach|squeeze|unsqueeze|flatten|view|reshape)\.\w+"
)
_SIGMOID: Final = "torch.ops.aten.sigmoid.default"
_SOFTMAX: Final = re.compile(r"torch\.ops\.aten\._?softmax\.\w+")


def read_exported(path: Path, resolution_px: ImageSize | None) -> tuple[GraphEntry, int]:
    """Return the input and output of a torch.export file that is safe to load, and its number of trained parameters.

    ``resolution_px``: for a file with open height and width.

    Raises:
        CustomModelUnusable: damaged, not an image classifier, or exported in training mode.
        CUSTOM_MODEL_HOLDS_OBJECTS: loading would unpickle objects, or run something other than tensor operators.
    """
    _, document, configs = _read_archive(path, (_MODEL, *_CONFIGS))
    _refuse_more_than_a_network(path, document, configs)
    try:
        parameters = [weight for config in configs for weight in config["config"].values() if weight["is_param"]]
        count = sum(prod(int(size["as_int"]) for size in weight["tensor_meta"]["sizes"]) for weight in parameters)
        return _entry(path, document, resolution_px), max(1, count)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        because = f"its program cannot be read ({type(error).__name__}: {error})"
        raise custom_model_unusable(path=path, because=because, hint="save it again with torch.export.save") from error


def archive_to_load(path: Path) -> io.BytesIO:
    """Return an archive that torch may load: program, weights and tables, written again.

    The archive omits what torch would read and inference does not need: example inputs, guards, and the origin of each node.

    Raises CustomModelUnusable, CUSTOM_MODEL_HOLDS_OBJECTS: see ``read_exported``.
    """
    entries, document, configs = _read_archive(path)
    _refuse_more_than_a_network(path, document, configs)
    kept = {name: held for name, held in entries.items() if name in _TABLES or _TENSOR.fullmatch(name)}
    program = json.dumps(_inference_only(document)).encode()
    return write_archive({**kept, **dict.fromkeys(_EXAMPLES, b""), _MODEL: program})


def _inference_only(document: dict[str, Any]) -> dict[str, Any]:
    """Return the program without parts that torch would parse, look up or run in addition."""
    module = document["graph_module"]
    nodes = [{**node, "metadata": {}} for node in module["graph"]["nodes"]]
    graph = {**module["graph"], "nodes": nodes}
    module = {**module, "graph": graph, "metadata": {}, "treespec_namedtuple_fields": {}}
    return {**document, "graph_module": module, "guards_code": []}


def _read_archive(
    path: Path, wanted: Container[str] | None = None
) -> tuple[dict[str, bytes], dict[str, Any], list[dict[str, Any]]]:
    entries = entries_of(path, wanted)
    programs = sorted(name for name in entries if name.startswith("models/"))
    if programs != [_MODEL]:
        names = ", ".join(programs[:3])
        raise custom_model_unusable(path=path, because=f"it holds {len(programs)} programs ({names}), not one: {_MODEL}")
    older = [name for name in entries if re.fullmatch(r"data/(weights|constants)/[^/]*\.pt", name)]
    if older:
        raise CUSTOM_MODEL_HOLDS_OBJECTS(path=path, found=f"pickled tensors in an older layout ({older[0]})")
    try:
        document = json.loads(entries[_MODEL])
        configs = [json.loads(entries[name]) for name in _CONFIGS if name in entries]
    except (ValueError, RecursionError) as error:
        because = f"it is damaged: {_MODEL} inside it cannot be read"
        raise custom_model_unusable(path=path, because=because, hint="copy the complete file again") from error
    return entries, document, configs


def _refuse_more_than_a_network(path: Path, document: Any, configs: list[dict[str, Any]]) -> None:
    for config in configs:
        for name, payload in _as_dict(config.get("config")).items():
            stored = _as_dict(payload)
            if stored.get("use_pickle") is not False or not _TENSOR.fullmatch(f"data/weights/{stored.get('path_name')}"):
                raise CUSTOM_MODEL_HOLDS_OBJECTS(path=path, found=f"a pickled object ({name})")
    for key, value in _fields(document):
        if key == "target" and isinstance(value, str) and value.startswith("torch.ops.quantized"):
            because = f"it is already quantized (it calls {value[:60]})"
            raise custom_model_unusable(path=path, because=because, hint="pass the float program; edgecnn quantizes it")
        if (invalid := _invalid_name(key, value)) is not None:
            raise CUSTOM_MODEL_HOLDS_OBJECTS(path=path, found=f"an invalid name ({invalid[:60]})")
        if key in ("in_spec", "out_spec") and (kind := _foreign_container(path, value)):
            raise CUSTOM_MODEL_HOLDS_OBJECTS(path=path, found=f"inputs or outputs of the type {kind}")
        if (content := _forbidden_content(key, value)) is not None:
            raise CUSTOM_MODEL_HOLDS_OBJECTS(path=path, found=content)


def _forbidden_content(key: str, value: Any) -> str | None:
    """Describe what a field of the program contains other than tensor operators; None if nothing."""
    if key in ("target", "as_operator") and isinstance(value, str) and not _is_tensor_operator(value):
        return f"a call of {value}, which is not a tensor operator"
    if key == "expr_str" and not _is_size(str(value)):
        return f"a size that is more than arithmetic ({str(value)[:60]})"
    if key == "range_constraints" and not all(_is_size(name) for name in _as_dict(value)):
        return "a range of something that is not a size"
    return f"something that is not a tensor ({key})" if key in ("as_custom_obj", "as_opaque_obj", "as_graph") else None


def _invalid_name(key: str, value: Any) -> str | None:
    """Return a name that is not an identifier, because torch pastes names into Python code that it runs."""
    if key in _VALUES:
        names = list(_as_dict(value))
    elif key == "forward_arg_names":
        names = [str(name) for name in value or ()]
    else:
        names = [str(value)] if value and _NAMED.fullmatch(key) else []
    return next((name for name in names if not _NAME.fullmatch(name) or keyword.iskeyword(name)), None)


def _as_dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value at any depth. A list replaces recursion, which a deeply nested file would exhaust."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            yield from item.items()
            pending += item.values()
        elif isinstance(item, list):
            pending += item


def _foreign_container(path: Path, spec: object) -> str | None:
    """Return the type of a container that torch would import."""
    try:
        tree = json.loads(spec) if isinstance(spec, str) and spec else None
    except (ValueError, RecursionError) as error:
        raise custom_model_unusable(path=path, because="it is damaged: its inputs and outputs cannot be read") from error
    return next((str(value) for key, value in _fields(tree) if key == "type" and value not in _TREES), None)


def _is_tensor_operator(target: str) -> bool:
    if not _OPERATORS.fullmatch(target) or _OF_FILES.match(target):
        return False
    module, _, name = target.partition(".")
    return module != "_operator" or name in _OPERATOR_MODULE


def _is_size(text: str) -> bool:
    """Return whether a text is a size: symbols, numbers and arithmetic.

    Quotes are allowed only around a symbol's name, and dots only in numbers.
    """
    bare = re.sub(r"'(?:zuf|zf|s|u)\d+'", "s0", text)
    if "'" in bare or not _SIZES.fullmatch(text) or re.search(r"[^\d\s]\s*\.|\.\s*[A-Za-z_]", bare):
        return False
    return all(_SIZE_WORDS.fullmatch(word) for word in _WORDS.findall(bare))


def _entry(path: Path, document: dict[str, Any], resolution_px: ImageSize | None) -> GraphEntry:
    module = document["graph_module"]
    signature, graph = module["signature"], module["graph"]
    named = [spec["user_input"]["arg"] for spec in signature["input_specs"] if "user_input" in spec]
    image = only_one([str(_as_dict(arg.get("as_tensor")).get("name", "no tensor")) for arg in named], "input", path)
    outputs = [spec["user_output"]["arg"] for spec in signature["output_specs"] if "user_output" in spec]
    answer = only_one([str(_as_dict(arg.get("as_tensor")).get("name", "no tensor")) for arg in outputs], "output", path)
    _refuse_training(path, graph["nodes"], image)
    values = graph["tensor_values"]
    dims = tuple(size.get("as_int") for size in values[image]["sizes"])
    ends = image_entry(image, dims, _DTYPES.get(values[image]["dtype"], "of another type"), resolution_px, path)
    last = _last_operation(graph["nodes"], answer)
    end = "softmax" if _SOFTMAX.fullmatch(last) else "sigmoid" if last == _SIGMOID else None
    sizes = tuple(size.get("as_int") for size in values[answer]["sizes"])
    return GraphEntry(
        **ends,
        **answer_entry(answer, sizes, (end, end), ends["batch"], path),
        opset=TRUNK_OPSET,
        form="torch.export",
    )


def _refuse_training(path: Path, nodes: list[dict[str, Any]], image: str) -> None:
    """Refuse operators in training mode, except a batch normalization that reads weights only, as standardized weights do."""
    by_image = {image}
    for node in nodes:
        reads = {tensor["name"] for argument in node["inputs"] for tensor in _tensors_in(argument["arg"])}
        if by_image & reads:
            by_image |= {tensor["name"] for out in node["outputs"] for tensor in _tensors_in(out)}
        elif "norm" in node["target"]:
            continue
        for argument in node["inputs"]:
            if argument["name"] in ("training", "train") and argument["arg"].get("as_bool"):
                because = f"it was exported in training mode ({node['target']})"
                raise custom_model_unusable(path=path, because=because, hint="call model.eval() before torch.export.export")


def _tensors_in(argument: dict[str, Any]) -> list[dict[str, Any]]:
    return [argument["as_tensor"]] if "as_tensor" in argument else list(argument.get("as_tensors", ()))


def _last_operation(nodes: list[dict[str, Any]], answer: str) -> str:
    """Return the operation that makes the output; empty if none does."""
    makers = {out["as_tensor"]["name"]: node for node in nodes for out in node["outputs"] if "as_tensor" in out}
    for _ in nodes:
        node = makers.get(answer)
        if node is None:
            return ""
        if not _PASSED_ON.fullmatch(node["target"]):
            return str(node["target"])
        answer = node["inputs"][0]["arg"]["as_tensor"]["name"]
    return ""
