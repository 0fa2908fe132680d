"""Options that several verbs share, each defined once. A command's flags mean the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

RecipeArg = Annotated[
    str | None, typer.Argument(metavar="[RECIPE]", help="A recipe file (TOML) or the name of a shipped pipeline.")
]
JudgedArg = Annotated[
    str | None,
    typer.Argument(
        metavar="[BUILD]", help="The folder of a finished build; or a recipe file (TOML), or the name of a shipped pipeline."
    ),
]
ArchOpt = Annotated[
    str | None, typer.Option("--arch", help="Network, as in `edgecnn list archs`.", rich_help_panel="What to build")
]
TargetOpt = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="DEVICE[:RUNTIME]",
        help="Device, as in `edgecnn list devices`, or a device file.",
        rich_help_panel="What to build",
    ),
]
DataOpt = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FOLDER|FILE|NAME",
        help="Images, a sub-folder a class, or IDX files, a CSV or Parquet list, a zip, or `torchvision:NAME`; default `demo`.",
        rich_help_panel="What to build",
    ),
]
NoLabelsOpt = Annotated[
    bool,
    typer.Option(
        "--no-labels",
        help="The images have no labels: for a custom model, agreement with fp32 is reported in place of accuracy; "
        "as `--set data.labels=false`.",
        rich_help_panel="What to build",
    ),
]
KeepHeadOpt = Annotated[
    bool,
    typer.Option(
        "--keep-head",
        help="Train nothing: take the network as --weights has it, and judge it on images of the classes that it knows; as "
        "`--set model.keep_head=true`.",
        rich_help_panel="What to build",
    ),
]
HostOpt = Annotated[
    str | None,
    typer.Option(
        "--host",
        metavar="USER@BOARD",
        help="The board, over the user's own ssh: a destination, or a name of ssh_config; without it, this machine.",
        rich_help_panel="Board",
    ),
]
PythonOpt = Annotated[
    str | None,
    typer.Option(
        "--python",
        metavar="PROGRAM",
        help="The board's Python with its runtimes (python3, or the one that --carry-wheels made there).",
        rich_help_panel="Board",
    ),
]
CleanOpt = Annotated[
    bool, typer.Option("--clean", help="Remove everything of edgecnn's from the board afterwards.", rich_help_panel="Board")
]
CarryWheelsOpt = Annotated[
    bool,
    typer.Option(
        "--carry-wheels",
        help="Fetch packages that the board lacks here, and unpack them there: it needs no internet.",
        rich_help_panel="Board",
    ),
]
OnnxOpt = Annotated[
    str | None,
    typer.Option(
        "--model",
        "--onnx",
        metavar="FILE",
        help="A trained network of your own in place of --arch: an ONNX, torch.export (.pt2) or TorchScript file.",
        rich_help_panel="What to build",
    ),
]
WeightsOpt = Annotated[
    str | None,
    typer.Option("--weights", metavar="auto|imagenet|none|FILE", help="Where training begins.", rich_help_panel="What to build"),
]
TransferOpt = Annotated[
    str | None,
    typer.Option(
        "--transfer",
        metavar="auto|head|last|all|scratch",
        help="What is learned anew of a pretrained network; auto measures, and says why. As `--set train.transfer=`.",
        rich_help_panel="What to build",
    ),
]
TeacherOpt = Annotated[
    str | None,
    typer.Option(
        "--teacher",
        metavar="ARCH|BUILD",
        help="Teacher for distillation: a larger network, or a finished build of these images. As `--set train.teacher=`.",
        rich_help_panel="What to build",
    ),
]
ScaleOpt = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="phi=N|KEY=N,…",
        help="Another depth, width and resolution: phi=1.5, or depth=1.2,width=0.75,resolution=192 with any of the three.",
        rich_help_panel="What to build",
    ),
]
SetOpt = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any recipe value, such as train.epochs=3.", rich_help_panel="What to build"),
]
OutOpt = Annotated[
    str | None,
    typer.Option("--out", metavar="FOLDER", help="Folder of the results; default builds/ARCH-DEVICE.", rich_help_panel="Results"),
]
SignOpt = Annotated[
    str | None,
    typer.Option("--sign", metavar="KEY", help="Sign a bundle that passes, as `edgecnn sign` does.", rich_help_panel="Results"),
]
MaxOpt = Annotated[
    list[str] | None,
    typer.Option("--max", metavar="METRIC=NUMBER", help="Gate: at most, such as p99_ms=20.", rich_help_panel="Gates"),
]
MinOpt = Annotated[
    list[str] | None,
    typer.Option("--min", metavar="METRIC=NUMBER", help="Gate: at least, such as top1=0.8.", rich_help_panel="Gates"),
]
RequireMeasuredOpt = Annotated[
    bool,
    typer.Option(
        "--require-measured", help="Exit 3 where a gated figure was not measured, as a CI job should.", rich_help_panel="Gates"
    ),
]
UnsurePassesOpt = Annotated[
    bool,
    typer.Option(
        "--unsure-passes", help="Let the job go on where a required gate is UNSURE: exit 0 and not 4.", rich_help_panel="Gates"
    ),
]
AllowStoredOpt = Annotated[bool, typer.Option("--allow-stored", help="Accept a stored race, in CI too.", rich_help_panel="Gates")]
TensorboardOpt = Annotated[
    str | None,
    typer.Option(
        "--tensorboard",
        metavar="DIR",
        help="Draw loss, accuracy, rate and image size of each epoch for TensorBoard, in a folder of the build's name in DIR.",
    ),
]
MeterOpt = Annotated[
    str | None,
    typer.Option(
        "--meter",
        metavar="FILE.csv",
        help="Log of an external power meter (a time and watts a line), for energy.",
        rich_help_panel="What to measure",
    ),
]
AgainstOpt = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="BASE",
        help="Race the finished build HEAD against this one, here and now, and gate the ratio of their latencies.",
        rich_help_panel="Another build",
    ),
]
AgainstRoundsOpt = Annotated[
    int | None,
    typer.Option(
        "--rounds",
        min=8,
        max=1000,
        help="Rounds of --against at most (default 48); it stops when settled.",
        rich_help_panel="Another build",
    ),
]
JunitOpt = Annotated[
    str | None,
    typer.Option(
        "--junit", metavar="FILE.xml", help="Write the verdicts as JUnit XML, a test a gate.", rich_help_panel="Results"
    ),
]
UntilOpt = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="PERCENT",
        help="Race until every reported p50 is known this precisely, such as 2%, or 40 rounds were run.",
        rich_help_panel="What to measure",
    ),
]
BatchesOpt = Annotated[
    str | None,
    typer.Option(
        "--batches",
        metavar="N,…,best",
        help="Throughput at these batch sizes, and at the best one: 1,8,best.",
        rich_help_panel="What to measure",
    ),
]
EndToEndOpt = Annotated[
    bool,
    typer.Option(
        "--end-to-end", help="Also time end to end from a JPEG file, decoding included.", rich_help_panel="What to measure"
    ),
]
SoakOpt = Annotated[
    str | None,
    typer.Option(
        "--soak",
        metavar="DURATION",
        help="Also run this long without a pause, such as 60s or 5min, and report the sustained speed.",
        rich_help_panel="What to measure",
    ),
]
KnobsOpt = Annotated[
    bool,
    typer.Option(
        "--knobs",
        help="Also race the winner's runtime knobs, such as threads, and ship those measured faster; as `--set race.knobs=true`.",
        rich_help_panel="What to measure",
    ),
]
ObjectiveOpt = Annotated[
    str | None,
    typer.Option(
        "--objective",
        metavar="latency|size|throughput|energy",
        help="What ships is the best at this inside the accuracy budget (default latency); as `--set choice.objective=`. "
        "For all but size a lower precision must also be measured better than the best float one.",
        rich_help_panel="What to build",
    ),
]
TimeBudgetOpt = Annotated[
    str | None,
    typer.Option(
        "--time-budget",
        metavar="DURATION",
        help="Begin no rung of the ladder after this long, such as 600s, 10min or 2h, and keep the best so far. Neither training "
        "and export before nor races after count; the first rung is always climbed, and a rung that was begun is finished. "
        "The same command again goes on from there.",
        rich_help_panel="What to build",
    ),
]
RefreshWeightsOpt = Annotated[
    bool, typer.Option("--refresh-weights", help="Ask the network again for pretrained weights.", rich_help_panel="What to build")
]
SeedOpt = Annotated[int, typer.Option("--seed", min=0, help="Seed of the split, as `--set data.seed`.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.", rich_help_panel="Results")]
QuietOpt = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel="Results")]
DebugOpt = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel="Results")]
