"""Parse ``kit.json`` into values. Each field is checked once, here; unknown fields are refused."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Set, Tuple

from .messages import RunnerError
from .pixel_recipe import ALL_LEVELS, MAX_PIXELS, RESIZE_MODES, ImageSize, PixelRecipe
from .session_options import OPTIONS, check_options

MANIFEST = "kit.json"
MANIFEST_BYTES_MAX = 16 << 20
SCHEMA = "edgecnn.kit/1"


class SessionSpec(NamedTuple):
    """The module of ``sessions/`` that runs the model, and the runtime's options."""

    module: str
    options: Dict[str, str]


class InputSpec(NamedTuple):
    """The model's only input. ``layout`` is NCHW or NHWC, ``dtype`` float32 or uint8."""

    name: str
    dtype: str
    layout: str


class OutputSpec(NamedTuple):
    """The model's only output: float (batch, classes)."""

    name: str
    classes: int


class ModelSpec(NamedTuple):
    """The model's files relative to the kit, its input and its output."""

    entry: str
    files: Tuple[str, ...]
    input: InputSpec
    output: OutputSpec
    batch_max: int


class GoldenPicture(NamedTuple):
    """A PNG and the SHA-256 of its pixels after preprocessing, uint8 (H, W, 3); see ``pixels_sha256`` in pixels.py."""

    file: str
    pixels_sha256: str


class GoldenPhoto(NamedTuple):
    """A JPEG, the PNG of its pixels, and a decoder's largest allowed difference in levels."""

    file: str
    pixels: str
    max_levels: int


class Golden(NamedTuple):
    """Data that the kit must reproduce: pixels and, for the PNGs in order, logits, float32 (images, classes)."""

    png: Tuple[GoldenPicture, ...]
    jpeg: Optional[GoldenPhoto]
    feed_sha256: str
    """Digest of the feed of all images. The feed itself is compared, because swapped channels hardly change the logits of a
    network that uses little colour."""
    logits: str
    logits_tolerance: float
    """Largest allowed difference as a share of the golden logits' range."""


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
    thresholds: Optional[Tuple[float, ...]] = None
    """The least probability of each label, in the order of ``labels``, for a multi-label network with the logistic function.
    None: one class an image, by softmax."""


def parse_manifest(value: Any) -> Manifest:
    """Parse a decoded ``kit.json``.

    Raises:
        RunnerError: bad-manifest, with the path of the field; the errors of ``check_options``.
    """
    top = Fields(value, "")
    if top.get("schema") != SCHEMA:
        raise bad_manifest("schema", "is {!r}, but this runner reads {!r}".format(top.get("schema"), SCHEMA))
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
        thresholds=_thresholds(top),
    )
    requirements.refuse_unread()
    top.refuse_unread()
    _check_agreement(manifest)
    return manifest


def _check_agreement(manifest: Manifest) -> None:
    classes = manifest.model.output.classes
    if len(manifest.labels) != classes:
        raise bad_manifest("labels", "has {} names, but the model has {} classes".format(len(manifest.labels), classes))
    named = list(manifest.model.files) + [manifest.model.entry, manifest.golden.logits]
    named += [picture.file for picture in manifest.golden.png]
    if manifest.golden.jpeg is not None:
        named += [manifest.golden.jpeg.file, manifest.golden.jpeg.pixels]
    for name in named:
        if name not in manifest.files:
            raise bad_manifest("files", "does not list {}".format(name))
    if not manifest.golden.png:
        raise bad_manifest("golden.png", "is empty, so the kit cannot be tested")


def _thresholds(top: Fields) -> Optional[Tuple[float, ...]]:
    if top.get("activation") is None and top.get("thresholds") is None:
        return None
    top.one_of("activation", "sigmoid")
    labels, bounds = top.texts("labels"), top.fields("thresholds")
    if bounds.names() != sorted(labels):
        raise bad_manifest("thresholds", "do not match the labels: they belong to another model")
    thresholds = tuple(bounds.number(name) for name in labels)
    if max(thresholds) > 1:
        raise bad_manifest("thresholds", "must be probabilities, 0 to 1")
    return thresholds


def _session(fields: Fields) -> SessionSpec:
    module = fields.text("module")
    if not module.isidentifier():
        raise bad_manifest("session.module", "{!r} is not a module name".format(module))
    session = SessionSpec(module, fields.text_map("options"))
    if module in OPTIONS:  # ``load_runtime`` refuses other modules
        check_options(module, session.options)
    fields.refuse_unread()
    return session


def _model(fields: Fields) -> ModelSpec:
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
    for part in (fields,) + ends:
        part.refuse_unread()
    return model


def _preprocessing(fields: Fields) -> Tuple[PixelRecipe, Tuple[float, ...], Tuple[float, ...]]:
    pixels, normalization = fields.fields("pixels"), fields.fields("normalization")
    recipe = PixelRecipe(
        _size(pixels, "resize_px"), _size(pixels, "crop_px"), pixels.one_of("interpolation", "bilinear", "bicubic")
    )
    if pixels.get("resize") is not None:
        recipe = recipe._replace(resize=pixels.one_of("resize", *RESIZE_MODES))
    if pixels.get("fill") is not None:
        recipe = recipe._replace(fill=_colour(pixels))
    if pixels.get("grey_window") is not None:
        recipe = recipe._replace(grey_window=_window(pixels))
    mean, std = normalization.three("mean"), normalization.three("std")
    if min(std) <= 0:
        raise bad_manifest("preprocessing.normalization.std", "must be above 0")
    for part in (fields, pixels, normalization):
        part.refuse_unread()
    return recipe, mean, std


def _size(pixels: Fields, name: str) -> ImageSize:
    value = pixels.get(name)
    try:
        size = ImageSize.of(value if isinstance(value, str) else pixels.whole(name))
    except ValueError as error:
        raise bad_manifest("preprocessing.pixels." + name, str(error)) from error
    if size.area_px > MAX_PIXELS:
        raise bad_manifest("preprocessing.pixels." + name, "is more than {:,} pixels".format(MAX_PIXELS))
    return size


def _colour(pixels: Fields) -> Tuple[int, int, int]:
    red, green, blue = pixels.three("fill")
    if not all(level in range(256) for level in (red, green, blue)):
        raise bad_manifest("preprocessing.pixels.fill", "must hold levels of 0 to 255")
    return int(red), int(green), int(blue)


def _window(pixels: Fields) -> Tuple[int, int]:
    ends = pixels.get("grey_window")
    is_pair = isinstance(ends, list) and len(ends) == 2 and all(type(end) is int for end in ends)
    if not is_pair or not 0 <= ends[0] < ends[1] <= ALL_LEVELS[1]:
        raise bad_manifest("preprocessing.pixels.grey_window", "must be two rising levels of 0 to 65535")
    return ends[0], ends[1]


def _golden(fields: Fields) -> Golden:
    pictures = []
    for index, value in enumerate(fields.list("png")):
        entry = Fields(value, "golden.png[{}].".format(index))
        pictures.append(GoldenPicture(entry.text("file"), entry.text("pixels_sha256")))
        entry.refuse_unread()
    photo = None
    if fields.get("jpeg") is not None:
        entry = fields.fields("jpeg")
        photo = GoldenPhoto(entry.text("file"), entry.text("pixels"), entry.whole("max_levels"))
        entry.refuse_unread()
    golden = Golden(tuple(pictures), photo, fields.text("feed_sha256"), fields.text("logits"), fields.number("logits_tolerance"))
    fields.refuse_unread()
    return golden


def _files(fields: Fields) -> Dict[str, FileFact]:
    facts = {}
    for name in fields.names():
        entry = fields.fields(name)
        facts[name] = FileFact(entry.text("sha256"), entry.whole("bytes"))
        entry.refuse_unread()
    return facts


def bad_manifest(field: str, why: str) -> RunnerError:
    """Return the error of a field of ``kit.json``."""
    return RunnerError("bad-manifest", "kit.json: {} {}".format(field, why), hint="package the kit again")


class Fields:
    """An object. Errors name its place in the file, ``where``."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise bad_manifest(where.rstrip(".") or "the file", "is not an object")
        self._value = value
        self._where = where
        self._read: Set[str] = set()

    def names(self) -> List[str]:
        """Return all names, sorted."""
        return sorted(self._value)

    def get(self, name: str) -> Any:
        """Return the value, or None."""
        self._read.add(name)
        return self._value.get(name)

    def refuse_unread(self) -> None:
        """Refuse fields that were not read."""
        unknown = sorted(set(self._value) - self._read)
        if unknown:
            raise bad_manifest(self._where + unknown[0], "is not a field that this runner knows")

    def fields(self, name: str) -> Fields:
        """Return an object as fields."""
        return Fields(self._typed(name, Mapping, "an object"), self._where + name + ".")

    def object(self, name: str) -> Dict[str, Any]:
        """Return an object."""
        return dict(self._typed(name, Mapping, "an object"))

    def list(self, name: str) -> List[Any]:
        """Return a list."""
        return list(self._typed(name, list, "a list"))

    def text(self, name: str) -> str:
        """Return a text."""
        return str(self._typed(name, str, "a text"))

    def texts(self, name: str) -> List[str]:
        """Return a list of texts."""
        values = self.list(name)
        if not all(isinstance(value, str) for value in values):
            raise bad_manifest(self._where + name, "must hold texts only")
        return values

    def text_map(self, name: str) -> Dict[str, str]:
        """Return an object whose values are texts."""
        values = self.object(name)
        if not all(isinstance(value, str) for value in values.values()):
            raise bad_manifest(self._where + name, "must hold texts only")
        return values

    def one_of(self, name: str, *allowed: str) -> str:
        """Return a text that is one of ``allowed``."""
        value = self.text(name)
        if value not in allowed:
            raise bad_manifest(self._where + name, "is {!r}, not one of {}".format(value, ", ".join(allowed)))
        return value

    def number(self, name: str) -> float:
        """Return a finite number of at least 0."""
        value = self._typed(name, (int, float), "a number")
        if not _is_finite(value) or value < 0:
            raise bad_manifest(self._where + name, "must be a number of at least 0")
        return float(value)

    def whole(self, name: str) -> int:
        """Return a whole number of at least 0."""
        value = self._typed(name, int, "a whole number")
        if isinstance(value, bool) or value < 0:
            raise bad_manifest(self._where + name, "must be a whole number of at least 0")
        return int(value)

    def three(self, name: str) -> Tuple[float, ...]:
        """Return three finite numbers: red, green, blue."""
        values = self.list(name)
        if len(values) != 3 or not all(_is_finite(value) for value in values):
            raise bad_manifest(self._where + name, "must hold three numbers, red, green and blue")
        return tuple(float(value) for value in values)

    def _typed(self, name: str, kind: Any, called: str) -> Any:
        value = self.get(name)
        if name not in self._value:
            raise bad_manifest(self._where + name, "is absent")
        if not isinstance(value, kind):
            raise bad_manifest(self._where + name, "is not {}".format(called))
        return value


def _is_finite(value: Any) -> bool:
    """Python's JSON may hold NaN, and integers beyond a float's range."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
