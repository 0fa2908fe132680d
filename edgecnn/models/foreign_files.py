"""Recognise model files and folders of other formats by content, each with the command that converts it to ONNX.

Nothing is parsed: the first bytes of a file, the names in a zip archive or the names in a folder identify the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.errors.custom_model import FOREIGN_MODEL, custom_model_unusable
from edgecnn.errors.wording import first_of, shell_word
from edgecnn.runner.files import open_regular
from edgecnn.store.disk import DAMAGED_ZIP, bounded_zip, json_object, refuse_known_cause

HEAD_BYTES: Final = 1024
_ZIP: Final = b"PK\x03\x04"
_ONNX_VERSION: Final = b"\x08"
"""An ONNX file begins with its version."""
_NAMES_MAX: Final = 10_000
"""Number of names in a folder that are compared."""
_OPENED_MAX: Final = 50
"""Number of files in a folder whose first bytes are read."""
_SOURCE: Final = (
    "no exporter turns it into ONNX: give the ONNX file that it was made from, or export the network where it was trained, as in "
    'torch.onnx.export(model.eval(), (example,), "model.onnx", dynamo=True)'
)
_TF2ONNX: Final = "pip install tf2onnx tensorflow; python -m tf2onnx.convert {} --output model.onnx; then --model model.onnx"
_KERAS: Final = (
    "pip install keras tensorflow tf2onnx; python -c 'import keras, sys; "
    "m = keras.saving.load_model(sys.argv[1], compile=False); "
    'm(keras.ops.zeros((1, *m.input_shape[1:]))); m.export("model.onnx", format="onnx")\' {path}; then --model model.onnx'
)
_PADDLE: Final = (
    "pip install paddle2onnx; paddle2onnx --model_dir {folder} --model_filename {name} --params_filename {parameters} "
    "--save_file model.onnx; then --model model.onnx"
)
_MXNET: Final = (
    "where MXNet is installed: python -c 'import mxnet, sys; mxnet.onnx.export_model(*sys.argv[1:3], [(1, 3, 224, 224)], "
    'onnx_file_path="model.onnx")\' {path} PARAMETERS; then --model model.onnx'
)
_OPTIMUM: Final = (
    'pip install "optimum-onnx[onnxruntime]"; optimum-cli export onnx --model {path} --task image-classification exported; '
    "then --model exported/model.onnx"
)


_ULTRALYTICS: Final = "pip install ultralytics; yolo export model={path} format=onnx; then --model names the ONNX file next to it"


class ForeignForm(NamedTuple):
    """A format that ``--model`` and ``--weights`` do not accept."""

    what: str
    """Its name with an article: "a TensorFlow Lite model"."""
    fix: str | None = None


class _Head(NamedTuple):
    """A format recognised by a file's first bytes: one of ``starts`` at ``at``, and ``holds`` anywhere in the first 1,024."""

    what: str
    starts: bytes | tuple[bytes, ...]
    fix: str | None = None
    at: int = 0
    holds: bytes = b""


class _Names(NamedTuple):
    """A format recognised by names in a folder or zip archive, with a match for each pattern."""

    what: str
    patterns: tuple[str, ...]
    fix: str | None = None


_HEADS: Final = (
    _Head("a TensorFlow Lite model", b"TFL3", _TF2ONNX.format("--tflite {path}"), at=4),
    _Head("an ONNX Runtime model in the ORT format", b"ORTM", _SOURCE, at=4),
    _Head("an HDF5 file, as Keras writes", b"\x89HDF\r\n", _KERAS),
    _Head("a TensorRT engine", (b"ftrt", b"ptrt"), _SOURCE),
    _Head("an OpenVINO model", (b"<?xml", b"<net "), _SOURCE, holds=b"<net "),
    _Head("an ncnn model", (b"7767517\n", b"7767517\r\n"), _SOURCE),
    # A block without a parent: BlockDesc in PaddlePaddle's framework.proto.
    _Head("a PaddlePaddle model", b"\n", _PADDLE, holds=b"\x08\x00\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    _Head("a PaddlePaddle model", b"{", _PADDLE, holds=b'"magic":"pir"'),
    _Head("a TensorFlow.js model", b"{", _SOURCE, holds=b'layers-model"'),
    _Head("a TensorFlow.js model", b"{", _SOURCE, holds=b'graph-model"'),
    _Head("an MXNet model", b"{", _MXNET, holds=b'"op": "null"'),
    _Head(
        "the parameters of an MXNet model",
        b"\x12\x01\0\0\0\0\0\0",
        "--model names the symbol file (.json), which says how to go on",
    ),
    _Head(
        "a frozen TensorFlow graph",
        b"\n",
        _TF2ONNX.format("--graphdef {path} --inputs INPUT:0 --outputs OUTPUT:0"),
        holds=b"\x12\x0bPlaceholder",
    ),
    _Head("an RKNN model", b"RKNN", _SOURCE),
    _Head("an ExecuTorch program", b"ET", _SOURCE, at=4, holds=b"ET1"),
    _Head("a Hailo executable (HEF)", b"\x01HEF", _SOURCE),
    _Head("a GGUF file", b"GGUF"),
    _Head("a gzip archive", b"\x1f\x8b", "unpack it first"),
    _Head("a tar archive", b"ustar", "unpack it first", at=257),
    _Head("a NumPy array", b"\x93NUMPY"),
    _Head("an image", (b"\x89PNG", b"\xff\xd8\xff")),
)
_SUFFIXES: Final = {".mnn": "an MNN model", ".dlc": "a Qualcomm DLC model", ".pte": "an ExecuTorch program"}
"""Formats whose first bytes identify nothing, by the end of the file's name."""
_ZIPS: Final = (
    _Names("a Qualcomm DLC model", ("dlc.metadata",), _SOURCE),
    _Names("a Qualcomm DLC model", ("model", "model.params"), _SOURCE),
    _Names("a Keras model", ("metadata.json", "config.json", "model.weights.h5"), _KERAS),
    _Names("a zipped Core ML package", ("*.mlpackage/Manifest.json",), _SOURCE),
    _Names("a zipped TensorFlow SavedModel", ("*saved_model.pb",), "unpack it first; then --model names the folder"),
    _Names("a zip archive with an ONNX file in it", ("*.onnx",), "unpack it first; then --model names the file"),
    _Names("a NumPy .npz archive", ("*.npy",)),
)
_FOLDERS: Final = (
    _Names("a TensorFlow SavedModel", ("saved_model.pb",), _TF2ONNX.format("--saved-model {path}")),
    _Names("a Core ML package", ("Manifest.json", "Data"), _SOURCE),
    _Names("a compiled Core ML model", ("coremldata.bin",), _SOURCE),
    _Names("a PaddlePaddle model", ("*.pdmodel", "*.pdiparams"), _PADDLE),
    _Names("a PaddlePaddle model", ("*.json", "*.pdiparams"), _PADDLE),
    _Names("a Hugging Face model", ("config.json", "*.safetensors"), _OPTIMUM),
    _Names("a Hugging Face model", ("config.json", "pytorch_model*.bin"), _OPTIMUM),
    _Names("a TensorFlow.js model", ("model.json", "*.bin"), _SOURCE),
    _Names("an OpenVINO model", ("*.xml", "*.bin"), _SOURCE),
    _Names("an ncnn model", ("*.param", "*.bin"), _SOURCE),
    _Names("a checkpoint of TensorFlow", ("checkpoint", "*.index"), _SOURCE),
)
_MODELS: Final = ("*.onnx", "*.pt2", "*.torchscript", "*.ts", "*.pt")
"""Names of files that ``--model`` may accept."""


def foreign_form(path: Path) -> ForeignForm | None:
    """Return the format of a file or folder that ``--model`` does not accept; None for any other file.

    Raises OSError: it cannot be read.
    """
    if path.is_dir():
        return _folder_form(path)
    with open_regular(path) as file:
        head = file.read(HEAD_BYTES)
    form = _safetensors_form(path, head) or _zip_form(path, head) or form_of_head(head)
    is_known = head.startswith((_ZIP, _ONNX_VERSION))
    if form is None and not is_known and (named := _SUFFIXES.get(path.suffix.lower())) is not None:
        form = ForeignForm(named, _SOURCE)
    if form is None:
        return None
    parts = {"path": path, "folder": path.parent, "name": path.name, "parameters": f"{path.stem}.pdiparams"}
    return _filled(form.what, form.fix, parts)


def refuse_foreign(path: Path) -> None:
    """Refuse files and folders that ``--model`` does not accept.

    Raises FOREIGN_MODEL: a folder, or a file of another format. CustomModelUnusable: it is empty. WRONG_BYTES: see
    ``refuse_known_cause``. OSError: it cannot be read.
    """
    if not path.is_dir():
        with open_regular(path) as file:
            head = file.read(HEAD_BYTES)
        if not head:
            raise custom_model_unusable(path=path, because="it is empty", hint="copy it again")
        refuse_known_cause(path)
    if (foreign := foreign_form(path)) is not None:
        raise FOREIGN_MODEL(path=path, form=foreign.what, fix=foreign.fix)


def form_of_head(head: bytes) -> ForeignForm | None:
    """Return the format that the first bytes of a file identify, with placeholders in its fix."""
    for row in _HEADS:
        if head[row.at :].startswith(row.starts) and row.holds in head:
            return ForeignForm(row.what, row.fix)
    if (form := _protobuf_form(head)) is not None:
        return form
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return ForeignForm("a web page: a download that went wrong", "download it again")
    if head and b"\0" not in head and all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head):
        return ForeignForm("a text file")
    return None


def _protobuf_form(head: bytes) -> ForeignForm | None:
    """Return a format that starts with its version, as ONNX does: Core ML's Model.proto, or TensorFlow's SavedModel.

    Core ML then describes its first input, whose name comes first inside two messages; ONNX has its producer's name there. ONNX's
    version is at least 3; a SavedModel's is 1.
    """
    if head[:1] != b"\x08" or head[2:3] != b"\x12":
        return None
    inner = _end_of_number(head, 3)
    if head[inner : inner + 1] != b"\n":
        return None
    if head[_end_of_number(head, inner + 1) :][:1] == b"\n":
        return ForeignForm("a Core ML model", _SOURCE)
    return ForeignForm("the graph of a TensorFlow SavedModel", "--model names its folder") if head[1] == 1 else None


def _end_of_number(head: bytes, at: int) -> int:
    """Return the offset after the protobuf number that starts at ``at``."""
    while at < len(head) and head[at] >= 0x80:
        at += 1
    return at + 1


def _safetensors_form(path: Path, head: bytes) -> ForeignForm | None:
    if head[8:9] != b"{" or int.from_bytes(head[:8], "little") > path.stat().st_size:
        return None
    return ForeignForm(
        "a safetensors file: weights without a network",
        "--arch NAME --weights {path} --keep-head, where NAME is a network of `edgecnn list archs` or timm:NAME",
    )


def _zip_form(path: Path, head: bytes) -> ForeignForm | None:
    if not head.startswith(_ZIP):
        return None
    try:
        with open_regular(path) as file, bounded_zip(file) as archive:
            names = archive.namelist()
            if any(name.endswith(("/constants.pkl", "/archive_format")) for name in names):
                return None  # a torch program
            pickled = next((name for name in names if name.endswith("/data.pkl")), None)
            if pickled is not None:
                with archive.open(pickled) as content:
                    is_theirs = b"ultralytics" in content.read(HEAD_BYTES)
                return ForeignForm("a checkpoint of Ultralytics", _ULTRALYTICS) if is_theirs else None
            return form_of_zip(names)
    except DAMAGED_ZIP:
        return None  # the code that opens the archive reports its faults


def form_of_zip(names: Sequence[str]) -> ForeignForm | None:
    """Return the format that the names in a zip archive identify, with placeholders in its fix."""
    return _form_of_names(_ZIPS, names, {})


def _folder_form(path: Path) -> ForeignForm:
    names = sorted(entry.name for entry in islice(path.iterdir(), _NAMES_MAX))
    below = path / "onnx"  # the layout of Hugging Face's repositories
    names += [f"onnx/{entry.name}" for entry in islice(below.iterdir(), _NAMES_MAX)] if below.is_dir() else []
    models = [name for pattern in _MODELS for name in names if fnmatchcase(name, pattern)]
    if models:
        return ForeignForm("a folder", f"--model names one file: {first_of([shell_word(path / name) for name in models], 3)}")
    named = (json_object(path / "config.json") or {}).get("architecture") if "config.json" in names else None
    weights = [name for name in names if name.endswith(".safetensors") or name == "pytorch_model.bin"]
    if weights and isinstance(named, str):
        fix = f"--arch {shell_word(f'timm:{named}')} --weights {shell_word(path / weights[0])} --keep-head"
        return ForeignForm("a folder of a network of timm's", fix)
    if (form := _form_of_names(_FOLDERS, names, {"path": path, "folder": path})) is not None:
        return form
    files = [path / name for name in names[:_OPENED_MAX] if (path / name).is_file()]
    inside = next((form for file in files if (form := _readable_form(file)) is not None and form.fix is not None), None)
    return ForeignForm(f"a folder with {inside.what}", inside.fix) if inside else ForeignForm("a folder without a model file")


def _readable_form(file: Path) -> ForeignForm | None:
    """Return None for an unreadable file, so that it does not hide the other files of its folder."""
    try:
        return foreign_form(file)
    except OSError:
        return None


def _form_of_names(rows: Sequence[_Names], names: Sequence[str], parts: dict[str, object]) -> ForeignForm | None:
    for row in rows:
        matched = [next((name for name in names if fnmatchcase(name, pattern)), None) for pattern in row.patterns]
        if None not in matched:
            of_row = {"name": matched[0], "parameters": matched[-1]}
            return _filled(row.what, row.fix, {**of_row, **parts}) if parts else ForeignForm(row.what, row.fix)
    return None


def _filled(what: str, fix: str | None, parts: dict[str, object]) -> ForeignForm:
    for part, value in parts.items():
        fix = fix and fix.replace(f"{{{part}}}", shell_word(value))
    return ForeignForm(what, fix)
