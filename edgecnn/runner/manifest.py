"""``kit.json`` as values: each field is checked once, here, and a field that nobody knows is refused rather than ignored."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from .failure import RunnerError
from .pixels import PixelRecipe

SCHEMA = "edgecnn.kit/1"


class SessionSpec(NamedTuple):
    """Which module of ``sessions/`` runs the model, and options that reach the runtime."""

    module: str
    options: Dict[str, str]


class InputSpec(NamedTuple):
    """The model's one input. ``layout`` is NCHW or NHWC, ``dtype`` float32 or uint8."""

    name: str
    dtype: str
    layout: str


class OutputSpec(NamedTuple):
    """The model's one output: float (batch, classes)."""

    name: str
    classes: int


class ModelSpec(NamedTuple):
    """The model's files relative to the kit, and its two ends."""

    entry: str
    files: Tuple[str, ...]
    input: InputSpec
    output: OutputSpec
    batch_max: int


class GoldenPicture(NamedTuple):
    """A PNG and the SHA-256 of the pixels that it must become (``pixels_sha256`` in pixels.py, of uint8 (H, W, 3))."""

    file: str
    pixels_sha256: str


class GoldenPhoto(NamedTuple):
    """A JPEG, the PNG of its pixels, and by how many levels a decoder may differ."""

    file: str
    pixels: str
    max_levels: int


class Golden(NamedTuple):
    """What the kit must reproduce: pixels and, for the PNGs in order, logits float32 (pictures, classes)."""

    png: Tuple[GoldenPicture, ...]
    jpeg: Optional[GoldenPhoto]
    logits: str
    logits_tolerance: float
    """Largest allowed difference as a share of the golden logits' whole range."""


class FileFact(NamedTuple):
    """One file of the kit."""

    sha256: str
    bytes: int


class Manifest(NamedTuple):
    """All of ``kit.json``."""

    name: str
    candidate: Dict[str, Any]
    session: SessionSpec
    model: ModelSpec
    recipe: PixelRecipe
    mean: Tuple[float, ...]
    std: Tuple[float, ...]
    labels: Tuple[str, ...]
    golden: Golden
    python: str
    packages: Dict[str, str]
    machines: Tuple[str, ...]
    stands_for: Optional[Dict[str, Any]]
    engine: Optional[Dict[str, Any]]
    files: Dict[str, FileFact]


def parse_manifest(value: Any) -> Manifest:
    """The manifest of a decoded ``kit.json``.

    Raises:
        RunnerError: bad-manifest, naming the field by its path.
    """
    top = _Fields(value, "")
    if top.get("schema") != SCHEMA:
        raise _bad("schema", "is {!r}, and this runner reads {!r}".format(top.get("schema"), SCHEMA))
    recipe, mean, std = _preprocessing(top.fields("preprocessing"))
    requirements = top.fields("requirements")
    manifest = Manifest(
        name=top.text("name"),
        candidate=top.object("candidate"),
        session=_session(top.fields("session")),
        model=_model(top.fields("model")),
        recipe=recipe,
        mean=mean,
        std=std,
        labels=tuple(top.texts("labels")),
        golden=_golden(top.fields("golden")),
        python=requirements.text("python"),
        packages=requirements.text_map("packages"),
        machines=tuple(requirements.texts("machines")),
        stands_for=top.object("stands_for") if top.get("stands_for") is not None else None,
        engine=top.object("engine") if top.get("engine") is not None else None,
        files=_files(top.fields("files")),
    )
    requirements.nothing_else()
    top.nothing_else()
    _agrees(manifest)
    return manifest


def _agrees(manifest: Manifest) -> None:
    classes = manifest.model.output.classes
    if len(manifest.labels) != classes:
        raise _bad("labels", "has {} names, and the model {} classes".format(len(manifest.labels), classes))
    named = list(manifest.model.files) + [manifest.model.entry, manifest.golden.logits]
    named += [picture.file for picture in manifest.golden.png]
    if manifest.golden.jpeg is not None:
        named += [manifest.golden.jpeg.file, manifest.golden.jpeg.pixels]
    for name in named:
        if name not in manifest.files:
            raise _bad("files", "does not list {}".format(name))
    if not manifest.golden.png:
        raise _bad("golden.png", "is empty, so nothing could be tested")


def _session(fields: _Fields) -> SessionSpec:
    module = fields.text("module")
    if not module.isidentifier():
        raise _bad("session.module", "{!r} is no module name".format(module))
    session = SessionSpec(module, fields.text_map("options"))
    fields.nothing_else()
    return session


def _model(fields: _Fields) -> ModelSpec:
    ends = fields.fields("input"), fields.fields("output")
    model = ModelSpec(
        entry=fields.text("entry"),
        files=tuple(fields.texts("files")),
        input=InputSpec(
            ends[0].text("name"), ends[0].one_of("dtype", "float32", "uint8"), ends[0].one_of("layout", "NCHW", "NHWC")
        ),
        output=OutputSpec(ends[1].text("name"), ends[1].whole("classes")),
        batch_max=fields.whole("batch_max"),
    )
    for each in (fields,) + ends:
        each.nothing_else()
    return model


def _preprocessing(fields: _Fields) -> Tuple[PixelRecipe, Tuple[float, ...], Tuple[float, ...]]:
    pixels, normalization = fields.fields("pixels"), fields.fields("normalization")
    recipe = PixelRecipe(
        pixels.whole("resize_px"), pixels.whole("crop_px"), pixels.one_of("interpolation", "bilinear", "bicubic")
    )
    mean, std = normalization.three("mean"), normalization.three("std")
    if min(std) <= 0:
        raise _bad("preprocessing.normalization.std", "must be above 0")
    for each in (fields, pixels, normalization):
        each.nothing_else()
    return recipe, mean, std


def _golden(fields: _Fields) -> Golden:
    pictures = []
    for index, value in enumerate(fields.list("png")):
        each = _Fields(value, "golden.png[{}].".format(index))
        pictures.append(GoldenPicture(each.text("file"), each.text("pixels_sha256")))
        each.nothing_else()
    photo = None
    if fields.get("jpeg") is not None:
        each = fields.fields("jpeg")
        photo = GoldenPhoto(each.text("file"), each.text("pixels"), each.whole("max_levels"))
        each.nothing_else()
    golden = Golden(tuple(pictures), photo, fields.text("logits"), fields.number("logits_tolerance"))
    fields.nothing_else()
    return golden


def _files(fields: _Fields) -> Dict[str, FileFact]:
    facts = {}
    for name in fields.names():
        each = fields.fields(name)
        facts[name] = FileFact(each.text("sha256"), each.whole("bytes"))
        each.nothing_else()
    return facts


def _bad(field: str, why: str) -> RunnerError:
    return RunnerError("bad-manifest", "kit.json: {} {}".format(field, why), hint="package the kit again")


class _Fields:
    """One JSON object, read field by field, that knows which of its fields nobody asked for."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise _bad(where.rstrip(".") or "the file", "is not an object")
        self._value = value
        self._where = where
        self._asked = set()  # type: Any

    def names(self) -> List[str]:
        return sorted(self._value)

    def get(self, name: str) -> Any:
        self._asked.add(name)
        return self._value.get(name)

    def nothing_else(self) -> None:
        unknown = sorted(set(self._value) - self._asked)
        if unknown:
            raise _bad(self._where + unknown[0], "is not a field that this runner knows")

    def fields(self, name: str) -> _Fields:
        return _Fields(self._typed(name, Mapping, "an object"), self._where + name + ".")

    def object(self, name: str) -> Dict[str, Any]:
        return dict(self._typed(name, Mapping, "an object"))

    def list(self, name: str) -> List[Any]:
        return list(self._typed(name, list, "a list"))

    def text(self, name: str) -> str:
        return str(self._typed(name, str, "a text"))

    def texts(self, name: str) -> List[str]:
        values = self.list(name)
        if not all(isinstance(value, str) for value in values):
            raise _bad(self._where + name, "must hold texts only")
        return values

    def text_map(self, name: str) -> Dict[str, str]:
        values = self.object(name)
        if not all(isinstance(value, str) for value in values.values()):
            raise _bad(self._where + name, "must hold texts only")
        return values

    def one_of(self, name: str, *allowed: str) -> str:
        value = self.text(name)
        if value not in allowed:
            raise _bad(self._where + name, "is {!r}, not one of {}".format(value, ", ".join(allowed)))
        return value

    def number(self, name: str) -> float:
        value = self._typed(name, (int, float), "a number")
        if isinstance(value, bool) or not 0 <= value < float("inf"):
            raise _bad(self._where + name, "must be a number of at least 0")
        return float(value)

    def whole(self, name: str) -> int:
        value = self._typed(name, int, "a whole number")
        if isinstance(value, bool) or value < 0:
            raise _bad(self._where + name, "must be a whole number of at least 0")
        return int(value)

    def three(self, name: str) -> Tuple[float, ...]:
        values = self.list(name)
        if len(values) != 3 or not all(isinstance(value, (int, float)) for value in values):
            raise _bad(self._where + name, "must hold three numbers, red, green and blue")
        return tuple(float(value) for value in values)

    def _typed(self, name: str, kind: Any, called: str) -> Any:
        value = self.get(name)
        if name not in self._value:
            raise _bad(self._where + name, "is absent")
        if not isinstance(value, kind):
            raise _bad(self._where + name, "is not {}".format(called))
        return value
