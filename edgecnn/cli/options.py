"""The options of the command line. Each field of ``BuildOptions`` declares one option.

To add an option, add one field. Its group decides which verbs take it.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Says = Literal["how to build", "how to measure"]


@dataclass(frozen=True, eq=False)
class Group:
    """Options that a verb takes together."""

    panel: str | None = None
    """The panel in ``--help``; None: typer's default."""
    says: Says | None = None
    """Whether the options say how to build or how to measure. A finished build takes none that say how to build, and a comparison
    takes none of either."""


WHAT = Group("What to build", says="how to build")
THIS_BUILD = Group("This build", says="how to build")
OUT = Group("Results", says="how to build")
MEASURING = Group("What to measure", says="how to measure")
STORED = Group("Gates", says="how to measure")
GATES = Group("Gates")
BOARD = Group("Board")
AGAINST = Group("Another build")
TRUST = Group()
JOB = Group("Results")
TRACKED = Group("Results")
SHOWN = Group("Results")
DETAILS = Group("Results")


@dataclass(frozen=True)
class InRecipe:
    """The option is a value of the recipe. ``read`` converts the typed text."""

    key: str
    read: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class AsSet:
    """The option stands for ``--set KEY=VALUE``."""

    key: str


@dataclass(frozen=True)
class InRequest:
    """The option is a field of the request. ``read`` converts the typed text."""

    name: str
    read: Callable[[Any], Any] | None = None


OF_LISTS = ("path_column", "label_column", "label_separator", "path_suffix", "image_root")
"""Options that say how to read a list of images. Every verb that takes images takes them."""
PART = "part"
"""``asking.py`` makes one part of the request from several such options."""
OF_THE_CALL = "of the call"
"""The option says how to run this call and show its result. The request and the printed command do not contain it."""
Enters = InRecipe | AsSet | InRequest | str


def row(group: Group, *names: str, enters: Enters, default: Any = None, **details: Any) -> Any:
    """Declare an option, or a positional argument if it has no names. ``details`` are passed to typer."""
    return field(default=default, metadata={"group": group, "names": names, "enters": enters, "details": details})


def _read_share(text: str) -> float:
    from edgecnn.planning.request import parse_share

    return parse_share(text)


def _read_duration(text: str) -> float:
    from edgecnn.planning.request import parse_time_budget

    return parse_time_budget(text)


def scale_text(text: str) -> str:
    """Return the canonical text of ``--scale``. Raises SCALE_INVALID: the text is not a scale."""
    from edgecnn.errors.fit import SCALE_INVALID
    from edgecnn.values.scale import CompoundScale

    try:
        return CompoundScale.from_text(text).text()
    except ValueError as error:
        raise SCALE_INVALID(text=text, because=str(error)) from error


@dataclass(frozen=True)
class BuildOptions:
    """The table of options, and their values in one call."""

    recipe: str | None = row(
        WHAT, enters=PART, metavar="[RECIPE]", help="A recipe file (TOML) or the name of a shipped pipeline."
    )
    arch: str | None = row(
        WHAT, "--arch", enters=InRecipe("model.arch"), help="A network listed by `edgecnn list archs`, or timm:NAME."
    )
    onnx: str | None = row(
        WHAT, "--model", "--onnx", enters=InRecipe("model.onnx"), metavar="FILE",
        help="Your own trained model instead of --arch: an ONNX, torch.export (.pt2) or TorchScript file.",
    )  # fmt: skip
    target: str | None = row(
        WHAT,
        "--target",
        enters=PART,
        metavar="DEVICE[:RUNTIME|:all]",
        help="A device listed by `edgecnn list devices`, or a device file.",
    )
    data: str | None = row(
        WHAT, "--data", enters=InRecipe("data.path"), metavar="FOLDER|FILE|NAME",
        help="Images: class folders, IDX files, a list, an archive, or `torchvision:NAME` (default: `demo`).",
    )  # fmt: skip
    path_column: str | None = row(
        WHAT, "--path-column", enters=AsSet("data.path_column"), metavar="COLUMN",
        help="Column of the list file that holds the image paths (recipe: data.path_column).",
    )  # fmt: skip
    label_column: str | None = row(
        WHAT, "--label-column", enters=AsSet("data.label_column"), metavar="COLUMN",
        help="List column that holds the class; other columns are ignored (recipe: data.label_column).",
    )  # fmt: skip
    label_separator: str | None = row(
        WHAT, "--label-separator", enters=AsSet("data.label_separator"), metavar="blank|comma|none",
        help="Separator of the labels in a cell; none: a cell is one label (recipe: data.label_separator).",
    )  # fmt: skip
    path_suffix: str | None = row(
        WHAT, "--path-suffix", enters=AsSet("data.path_suffix"), metavar=".EXT",
        help="Suffix to add to the paths in a list, such as .jpg (recipe: data.path_suffix).",
    )  # fmt: skip
    image_root: str | None = row(
        WHAT, "--image-root", enters=InRecipe("data.image_root"), metavar="FOLDER",
        help="Base folder for the relative paths in a list file (recipe: data.image_root).",
    )  # fmt: skip
    no_labels: bool = row(
        WHAT, "--no-labels", enters=InRecipe("data.labels", read=lambda no_labels: not no_labels), default=False,
        help="Treat images as unlabelled: ignore sub-folders, and report agreement with fp32, not accuracy.",
    )  # fmt: skip
    group_by: str | None = row(
        WHAT, "--group-by", enters=AsSet("data.group_by"), metavar="REGEX|COLUMN",
        help="Keep each group, such as a person, in one split; groups come from a path pattern or a list column.",
    )  # fmt: skip
    weights: str | None = row(
        WHAT,
        "--weights",
        enters=InRecipe("model.weights"),
        metavar="auto|imagenet|none|FILE",
        help="Initial weights (default: auto).",
    )
    transfer: str | None = row(
        WHAT, "--transfer", enters=AsSet("train.transfer"), metavar="auto|head|last|all|scratch",
        help="Which pretrained layers to train; auto measures and decides (recipe: train.transfer).",
    )  # fmt: skip
    teacher: str | None = row(
        WHAT, "--teacher", enters=AsSet("train.teacher"), metavar="ARCH|BUILD",
        help="Distill from a larger network or a build trained on these images (recipe: train.teacher).",
    )  # fmt: skip
    train_minutes: float | None = row(
        WHAT, "--train-minutes", enters=AsSet("train.minutes"), metavar="N",
        help="Train for as many epochs as fit in N minutes on this machine (recipe: train.minutes).",
    )  # fmt: skip
    keep_head: bool = row(
        WHAT, "--keep-head", enters=InRecipe("model.keep_head"), default=False,
        help="Train nothing: use the network of --weights with its own classes (recipe: model.keep_head).",
    )  # fmt: skip
    scale: str | None = row(
        WHAT, "--scale", enters=InRecipe("model.scale", read=scale_text), metavar="phi=N|KEY=N,…",
        help="Scale the network: phi=1.5, or any of depth=1.2,width=0.75,resolution=192.",
    )  # fmt: skip
    objective: str | None = row(
        WHAT, "--objective", enters=AsSet("choice.objective"), metavar="latency|size|throughput|energy",
        help="Metric that decides the best candidate within the accuracy budget (default: latency).",
    )  # fmt: skip
    knobs: bool = row(
        WHAT, "--knobs", enters=InRecipe("race.knobs"), default=False,
        help="Also race settings of the chosen kit, such as threads; keep the fastest (recipe: race.knobs).",
    )  # fmt: skip
    overrides: tuple[str, ...] = row(
        WHAT, "--set", enters=PART, default=(), metavar="KEY=VALUE", help="Set any recipe value, such as train.epochs=3."
    )
    refresh_weights: bool = row(
        THIS_BUILD, "--refresh-weights", enters=InRequest("refresh_weights"), default=False,
        help="Check online again for pretrained weights.",
    )  # fmt: skip
    time_budget: str | None = row(
        THIS_BUILD, "--time-budget", enters=InRequest("time_budget_s", read=_read_duration), metavar="DURATION",
        help="Stop adding candidates after this time, such as 10min; training and races do not count.",
    )  # fmt: skip
    tensorboard: str | None = row(
        THIS_BUILD, "--tensorboard", enters=InRequest("tensorboard", read=Path), metavar="DIR",
        help="Write training curves for TensorBoard to DIR, in a folder named after the build.",
    )  # fmt: skip
    at_most: tuple[str, ...] = row(
        GATES,
        "--max",
        enters=PART,
        default=(),
        metavar="METRIC=NUMBER",
        help="Gate: METRIC must be at most NUMBER, such as p99_ms=20.",
    )
    at_least: tuple[str, ...] = row(
        GATES,
        "--min",
        enters=PART,
        default=(),
        metavar="METRIC=NUMBER",
        help="Gate: METRIC must be at least NUMBER, such as top1=0.8 or images_per_s=20.",
    )
    require_measured: bool = row(
        GATES, "--require-measured", enters=PART, default=False,
        help="Exit with 3 if a gate needs a figure that was not measured. Use this in CI.",
    )  # fmt: skip
    allow_stored: bool = row(
        STORED, "--allow-stored", enters=OF_THE_CALL, default=False, help="Accept a stored latency measurement, even in CI."
    )
    meter: str | None = row(
        MEASURING, "--meter", enters=InRequest("meter", read=Path), metavar="FILE.csv",
        help="Log of an external power meter, to measure energy: a time and a power in watts on each line.",
    )  # fmt: skip
    until: str | None = row(
        MEASURING, "--until", enters=InRequest("until", read=_read_share), metavar="PERCENT",
        help="Keep measuring until every p50 is known to within ±PERCENT, such as 2% (at most 40 rounds).",
    )  # fmt: skip
    batches: str | None = row(
        MEASURING, "--batches", enters=PART, metavar="N,…,best",
        help="Measure throughput at these batch sizes; `best` searches for the fastest.",
    )  # fmt: skip
    soak: str | None = row(
        MEASURING, "--soak", enters=PART, metavar="DURATION",
        help="Also measure under sustained load for this time, such as 60s or 5min.",
    )  # fmt: skip
    end_to_end: bool = row(
        MEASURING,
        "--end-to-end",
        enters=PART,
        default=False,
        help="Also measure end-to-end latency from a JPEG file, including decoding.",
    )
    host: str | None = row(
        BOARD, "--host", enters=PART, metavar="USER@BOARD",
        help="Board to use over SSH, or `emulated` for an Arm machine in QEMU (default: this machine).",
    )  # fmt: skip
    python: str | None = row(
        BOARD, "--python", enters=PART, metavar="PROGRAM",
        help="Python on the board with the runtimes installed (default: python3, or that of --carry-wheels).",
    )  # fmt: skip
    clean: bool = row(BOARD, "--clean", enters=PART, default=False, help="Remove all edgecnn files from the board afterwards.")
    carry_wheels: bool = row(
        BOARD, "--carry-wheels", enters=PART, default=False,
        help="Download missing packages here and unpack them on the board, for boards without internet.",
    )  # fmt: skip
    against: str | None = row(
        AGAINST, "--against", enters=OF_THE_CALL, metavar="BASE",
        help="Race this finished build against BASE on this machine, and judge their latency ratio.",
    )  # fmt: skip
    rounds: int | None = row(
        AGAINST, "--rounds", enters=OF_THE_CALL, min=8, max=1000,
        help="Maximum rounds of --against (default: 48); the race stops as soon as the result is clear.",
    )  # fmt: skip
    out: str | None = row(
        OUT, "--out", enters=InRequest("out", read=Path), metavar="FOLDER", help="Results folder (default: builds/ARCH-DEVICE)."
    )
    sign: str | None = row(
        THIS_BUILD, "--sign", enters=OF_THE_CALL, metavar="KEY", help="Sign the bundle if it passes, like `edgecnn bundle sign`."
    )
    junit: str | None = row(
        JOB, "--junit", enters=OF_THE_CALL, metavar="FILE.xml", help="Write the verdicts as JUnit XML, one test per gate."
    )
    track: str | None = row(
        TRACKED, "--track", enters=OF_THE_CALL, metavar="mlflow:URI",
        help="Log the build to MLflow, as in mlflow:http://HOST:5000; mlflow-figures:URI sends figures only.",
    )  # fmt: skip
    unsure_passes: bool = row(
        JOB, "--unsure-passes", enters=OF_THE_CALL, default=False,
        help="Exit with 0 instead of 4 if a required gate is UNSURE.",
    )  # fmt: skip
    as_json: bool = row(SHOWN, "--json", enters=OF_THE_CALL, default=False, help="Print one JSON document on stdout.")
    verbose: bool = row(
        DETAILS,
        "--verbose",
        enters=OF_THE_CALL,
        default=False,
        help="Also print notes, error rates and the candidates that were not chosen.",
    )
    quiet: bool = row(SHOWN, "--quiet", "-q", enters=OF_THE_CALL, default=False, help="Show no progress.")
    debug: bool = row(SHOWN, "--debug", enters=OF_THE_CALL, default=False, help="Show the traceback of an error.")
    verb: str = "build"


@dataclass(frozen=True)
class Row:
    """One option of the table."""

    name: str
    """Name of the field and of the verb's parameter."""
    kind: Any
    default: Any
    group: Group
    names: tuple[str, ...]
    enters: Enters
    details: dict[str, Any]

    @property
    def word(self) -> str:
        """Name in messages: the option's first name, or the argument's name in capitals."""
        return self.names[0] if self.names else self.name.upper()

    @property
    def annotation(self) -> Any:
        """The annotation that typer reads."""
        if not self.names:
            return Annotated[self.kind, typer.Argument(**self.details)]
        kind = list[str] | None if isinstance(self.default, tuple) else self.kind
        return Annotated[kind, typer.Option(*self.names, rich_help_panel=self.group.panel, **self.details)]


_ROWS: dict[Any, tuple[Row, ...]] = {}


def rows_of(table: type[BuildOptions]) -> tuple[Row, ...]:
    """Return every option of a table, in order."""
    if table not in _ROWS:
        kinds, options = typing.get_type_hints(table), [option for option in fields(table) if option.metadata]
        _ROWS[table] = tuple(Row(option.name, kinds[option.name], option.default, **option.metadata) for option in options)
    return _ROWS[table]


def given_options(options: BuildOptions) -> Iterator[tuple[Row, Any]]:
    """Yield the options of a call with their values. An empty text counts as given."""
    for option in rows_of(type(options)):
        value = getattr(options, option.name)
        if value is not None and value is not False and value != ():
            yield option, value


def options_settling(options: BuildOptions, *says: Says) -> tuple[str, ...]:
    """Return the names of the given options that say how to build, or how to measure."""
    return tuple(option.word for option, value in given_options(options) if option.names and option.group.says in says and value)
