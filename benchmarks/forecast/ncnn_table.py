"""Import ncnn's own table of times into ``baselines/public/ncnn.json``.

python -m benchmarks.forecast.ncnn_table CLONE

CLONE is a clone of https://github.com/Tencent/ncnn with its history, which says when each line was published. Work is counted
from the network files that the table was measured with, by asking ncnn for the size of every tensor.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from benchmarks.forecast.published import CHECKED, digest_of, require_unchanged, write_table
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.forecast import PublicBoard, PublicNetwork, PublicRun, PublicSource, PublicTable, Work

PAGE = "benchmark/README.md"
SHAPE = "min max avg in ms, one network a line"
BOARDS: Mapping[str, tuple[str, str | None]] = {
    "NVIDIA Jetson AGX Orin": ("jetson-agx-orin", "jetson-agx-orin"),
    "Raspberry Pi 3 Model B+": ("raspberry-pi-3", None),
    "Raspberry Pi 4 Model B": ("raspberry-pi-4", "raspberry-pi-4"),
    "Raspberry Pi 5 Broadcom BCM2712, Cortex-A76": ("raspberry-pi-5", "raspberry-pi-5"),
    "Raspberry Pi 5 Broadcom BCM2712 Overclock": ("raspberry-pi-5-overclocked", None),
    "Raspberry Pi Zero 2 W": ("raspberry-pi-zero-2-w", None),
    "Rockchip RK3588 (Cortex-A76": ("rk3588-android", None),
    "Rockchip RK3588 (Quad": ("rk3588", "rk3588"),
    "Station-M3/ROC-RK3588S-PC": ("roc-rk3588s-pc-android", None),
    "OrangePi5,": ("orange-pi-5", "rk3588"),
    "OrangePi5 Plus": ("orange-pi-5-plus", "rk3588"),
    "NVIDIA Jetson Orin Nano": ("jetson-orin-nano", "jetson-orin-nano"),
    "NVIDIA Jetson AGX Xavier": ("jetson-agx-xavier", None),
    "NVIDIA Jetson TX2 NX": ("jetson-tx2-nx", None),
    "NVIDIA Jetson Nano": ("jetson-nano", "jetson-nano"),
    "HUAWEI KunPeng 920 2251K": ("kunpeng-920-8-cores", "arm64-server"),
    "HUAWEI KunPeng 920 3211K": ("kunpeng-920-24-cores", "arm64-server"),
    "HUAWEI Kunpeng 920 7260": ("kunpeng-920-64-cores", "arm64-server"),
    "Hyper-V Linux Guest with GPU-PV enabled (Intel Core i7-11800H": ("hyper-v-core-i7-11800h", None),
    "Hyper-V Linux Guest with GPU-PV enabled (Intel Core i7-7700K": ("hyper-v-core-i7-7700k", None),
    "MacBook Pro (13-inch, M1": ("macbook-pro-m1", None),
    "MacBook Pro (15-inch, 2019)": ("macbook-pro-core-i7", None),
    "Microsoft Azure Standard D64ps": ("azure-d64ps-v6", "arm64-server-i8mm"),
    "Microsoft Azure Standard D64s v6": ("azure-d64s-v6", "intel-cpu"),
    "Microsoft Azure Standard D64as": ("azure-d64as-v7", None),
    "Intel® Core™ i7-13700K": ("core-i7-13700k", "intel-cpu-avx2"),
    "Intel Celeron N5105": ("celeron-n5105", None),
}
"""Beginning of a heading to the board's name here and the device file that describes it; others are named by the heading."""
HALVES = re.compile(
    r"\b(?:A55|A75|A76|A78(?:AE)?|A710|A720|Cortex-X[1-4]|Carmel|Neoverse|Kun[Pp]eng|Kyro485|Kyro460|Kyro 3\.20|Kyro 1\.8GHz x 6"
    r"|Oryon|FTC664|Orin Nano|Snapdragon 855|D64ps|BCM2712)\b|\b13-inch, M[13]\b"
)
"""Cores with half-precision arithmetic (Arm 8.2 with asimdhp), on which ncnn multiplies in fp16 unless it is told not to."""
ARCHS: Mapping[str, str] = {
    "mobilenet": "mobilenet-v1", "mobilenet_v2": "mobilenet-v2", "mobilenet_v3": "mobilenet-v3-large",
    "shufflenet": "shufflenet-v1-x1.0", "shufflenet_v2": "shufflenet-v2-x1.0", "mnasnet": "mnasnet-1.0",
    "efficientnet_b0": "efficientnet-b0", "efficientnetv2_b0": "efficientnet-v2-b0", "googlenet": "googlenet",
    "resnet18": "resnet-18", "alexnet": "alexnet-2012", "vgg16": "vgg-16", "resnet50": "resnet-50",
}  # fmt: skip
CLASSIFIERS = (*ARCHS, "squeezenet", "proxylessnasnet", "regnety_400m")
SIDES = {
    "squeezenet": 227, "alexnet": 227, "blazeface": 128, "squeezenet_ssd": 300, "mobilenet_ssd": 300, "mobilenet_yolo": 416,
    "mobilenetv2_yolov3": 352, "yolov4-tiny": 416, "nanodet_m": 320, "yolo-fastest-1.1": 320, "yolo-fastestv2": 352,
    "FastestDet": 352,
}  # fmt: skip
"""Of the image, as benchmark/benchncnn.cpp sets it; 224 of the others. Its transformer is not read."""
INT8 = "_int8"
LEAST_NETWORKS = 10
_TIME = re.compile(r"\s*([\w.\-]+)\s+min =\s*([\d.]+)\s+max =\s*([\d.]+)\s+avg =\s*([\d.]+)")
_SETTING = re.compile(r"\s*(loop_count|num_threads|powersave|gpu_device|cooling_down) = (-?\d+)")
_CORES = {0: "all", 1: "small", 2: "fast"}
_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise")


@dataclass
class _Block:
    """One call of benchncnn, as the page shows it."""

    heading: str
    line: int
    version: str | None
    note: str | None
    settings: dict[str, int] = field(default_factory=dict)
    ms: dict[str, float] = field(default_factory=dict)


def blocks_of(page: Sequence[str]) -> Iterator[_Block]:
    """Every call on a CPU, in the page's order."""
    heading, version, note, block = "", None, None, None
    for number, line in enumerate(page, start=1):
        if line.startswith("### "):
            heading, version, note, block = line[4:].strip(), None, None, None
        elif without := re.match(r"\*\*Results \((.*)\)\*\*", line):
            note = without[1] if without[1].startswith("Without") else None
        elif tag := re.search(r"ncnn version tag: (\d{8})", line):
            version = tag[1]
        elif setting := _SETTING.match(line):
            if setting[1] == "loop_count":
                block = _Block(heading, number, version, note)
                yield block
            if block is not None:
                block.settings[setting[1]] = int(setting[2])
        elif (time := _TIME.match(line)) and block is not None and float(time[2]) > 0:
            block.ms[time[1]] = float(time[2])


def board_of(heading: str) -> tuple[str, str | None]:
    """Its name here, and its device file."""
    for beginning, names in BOARDS.items():
        if heading.startswith(beginning):
            return names
    return re.sub(r"[^a-z0-9]+", "-", re.split(r"[(,\[]", heading)[0].lower()).strip("-"), None


def headings_of(blocks: Sequence[_Block]) -> dict[str, str]:
    """Board to its heading. Raises SystemExit: two headings have one name."""
    headings: dict[str, str] = {}
    for block in blocks:
        board = board_of(block.heading)[0]
        if headings.setdefault(board, block.heading) != block.heading:
            sys.exit(f"{headings[board]!r} and {block.heading!r} are both {board}: add them to BOARDS")
    return headings


def runs_of(block: _Block, date: str) -> Iterator[PublicRun]:
    """One of floats, and one of the networks in INT8."""
    floats = {name: ms for name, ms in block.ms.items() if not name.endswith(INT8)}
    integers = {name.removesuffix(INT8): ms for name, ms in block.ms.items() if name.endswith(INT8)}
    half = HALVES.search(block.heading) is not None
    for precision, ms in ((Precision.FP16 if half else Precision.FP32, floats), (Precision.INT8, integers)):
        if len(ms) >= 3:
            yield PublicRun(
                board=board_of(block.heading)[0],
                runtime=Runtime.NCNN,
                runtime_version=block.version,
                precision=precision,
                threads=block.settings["num_threads"],
                cores=_CORES[block.settings["powersave"]],
                power_mode=None,
                date=date,
                line=block.line,
                note=block.note,
                ms=ms,
            )


def work_of(param: Path, side: int) -> Work:
    """Counted from one of ncnn's network files, with the tensor sizes that ncnn itself finds."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads, net.opt.lightmode, net.opt.use_packing_layout = 1, False, False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if net.load_param(str(param)) or net.load_model(ncnn.DataReaderFromEmpty()):
        sys.exit(f"ncnn cannot read {param}")
    layers = [line.split() for line in param.read_text().splitlines()[2:] if line.strip()]
    run = net.create_extractor()
    run.input(next(layer[4] for layer in layers if layer[0] == "Input"), ncnn.Mat(side, side, 3))
    total = dict.fromkeys(Work.model_fields, 0)
    for kind, _, reads, makes, *rest in layers:
        if kind not in (*_CONVOLUTIONS, "InnerProduct"):
            continue
        tensors = rest[: int(reads) + int(makes)]
        numbers = {int(key): int(value) for key, value in (word.split("=") for word in rest if re.fullmatch(r"\d+=-?\d+", word))}
        shapes = [run.extract(name)[1] for name in (tensors[0], tensors[int(reads)])]
        positions = 1 if kind == "InnerProduct" else shapes[1].w * shapes[1].h
        weights = numbers[2 if kind == "InnerProduct" else 6]
        total[_kind(kind, numbers, positions)] += weights * positions
        total["moved"] += sum(prod((shape.w, max(shape.h, 1), max(shape.c, 1))) for shape in shapes)
        total["weights"] += weights
        total["layers"] += 1
    return Work.model_validate(total)


def _kind(kind: str, number: Mapping[int, int], positions: int) -> str:
    if positions == 1 or kind == "InnerProduct":
        return "dense_macs"
    window, groups = number[1] * number.get(11, number[1]), number.get(7, 1)
    inputs = number[6] * groups // (number[0] * window)
    if groups > 1:
        return "depthwise_macs" if groups == inputs else "grouped_macs"
    return "pointwise_macs" if window == 1 else "spatial_macs"


def _git(clone: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(clone), *words], check=True, capture_output=True, text=True).stdout  # noqa: S603, S607


def _networks(clone: Path, names: Sequence[str]) -> dict[str, PublicNetwork]:
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder) / f"{name}.param"
            path.write_text(_git(clone, "show", f"HEAD:benchmark/models/{name}.param"))
            side = SIDES.get(name, 224)
            times[name] = PublicNetwork(
                arch=ARCHS.get(name),
                resolution_px=ImageSize.square(side),
                classifies=name in CLASSIFIERS,
                work=work_of(path, side),
            )
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clone", type=Path)
    clone = parser.parse_args().clone
    page = _git(clone, "show", f"HEAD:{PAGE}")
    digest = digest_of(page)
    blocks = [block for block in list(blocks_of(page.splitlines())) if block.settings.get("gpu_device") == -1]
    require_unchanged(CHECKED["ncnn"], digest, len(blocks))
    blamed = re.findall(r"^\S+ \(.*?(\d{4}-\d{2}-\d{2}) ", _git(clone, "blame", "--date=short", "HEAD", "--", PAGE), re.MULTILINE)
    known = (*CLASSIFIERS, *(name for name in SIDES if name not in CLASSIFIERS))
    runs = [run for block in blocks if sum(name in block.ms for name in CLASSIFIERS) >= LEAST_NETWORKS
            for run in runs_of(block, blamed[block.line - 1])]  # fmt: skip
    kept = [run.model_copy(update={"ms": {name: run.ms[name] for name in known if name in run.ms}}) for run in runs]
    commit, date = _git(clone, "log", "-1", "--format=%H %cs", "--", PAGE).split()
    headings = headings_of(blocks)
    write_table(
        PublicTable(
            name="ncnn",
            source=PublicSource(
                title="ncnn, benchmark/README.md",
                url=f"https://github.com/Tencent/ncnn/blob/{commit}/{PAGE}",
                commit=commit,
                date=date,
                sha256=digest,
                licence="BSD-3-Clause",
            ),
            statistic="shortest of the repeated calls; on average 1.01 times shorter than their median mean",
            networks=_networks(clone, known),
            boards={
                name: PublicBoard(title=title, device=board_of(title)[1])
                for name, title in headings.items()
                if any(run.board == name for run in kept)
            },  # fmt: skip
            runs=tuple(run for run in kept if run.ms),
        )
    )


if __name__ == "__main__":
    main()
