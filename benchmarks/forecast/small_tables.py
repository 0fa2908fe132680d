"""Import two smaller tables into ``baselines/public/``: XNNPACK's own (Raspberry Pi, Pixel) and torch2trt's (Jetson).

python -m benchmarks.forecast.small_tables XNNPACK_CLONE TORCH2TRT_CLONE

Work is that of the catalogue's rows: both tables time networks that it has.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.forecast.published import CHECKED, digest_of, require_unchanged, write_table
from edgecnn.forecast.networks import counted_catalogue
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.forecast import PublicBoard, PublicNetwork, PublicRun, PublicSource, PublicTable

MOBILENETS = {
    "MobileNet v1 1.0X": "mobilenet-v1",
    "MobileNet v2 1.0X": "mobilenet-v2",
    "MobileNet v3 Large": "mobilenet-v3-large",
    "MobileNet v3 Small": "mobilenet-v3-small",
}
PIS: Mapping[str, tuple[str, str | None, int]] = {
    "RPi Zero W (BCM2835), ms": ("raspberry-pi-zero-w", None, 1),
    "RPi 2 (BCM2836), ms": ("raspberry-pi-2", None, 4),
    "RPi 3+ (BCM2837B0), ms": ("raspberry-pi-3", None, 4),
    "RPi 4 (BCM2711), ms": ("raspberry-pi-4-32-bit", None, 4),
    "RPi 4 (BCM2711, ARM64), ms": ("raspberry-pi-4", "raspberry-pi-4", 4),
}
"""Column to the board's name, its device file, and its cores: the table uses as many threads as there are big ones."""
JETSONS = {
    "benchmarks/JETSON_NANO.md": ("jetson-nano", "jetson-nano", "NVIDIA Jetson Nano", "2019-06-19"),
    "docs/benchmarks/jetson_xavier.md": ("jetson-agx-xavier", None, "NVIDIA Jetson AGX Xavier", "2020-09-02"),
}
TORCHVISION = {
    "resnet18": "resnet-18", "resnet34": "resnet-34", "resnet50": "resnet-50", "resnet101": "resnet-101",
    "resnet152": "resnet-152", "densenet121": "densenet-121", "densenet169": "densenet-169", "densenet201": "densenet-201",
    "vgg11": "vgg-11", "vgg13": "vgg-13", "vgg16": "vgg-16", "vgg19": "vgg-19", "vgg11_bn": "vgg-11-bn",
    "vgg13_bn": "vgg-13-bn", "vgg16_bn": "vgg-16-bn", "vgg19_bn": "vgg-19-bn", "mobilenet_v2": "mobilenet-v2",
    "shufflenet_v2_x0_5": "shufflenet-v2-x0.5", "shufflenet_v2_x1_0": "shufflenet-v2-x1.0",
    "shufflenet_v2_x1_5": "shufflenet-v2-x1.5", "shufflenet_v2_x2_0": "shufflenet-v2-x2.0", "mnasnet1_0": "mnasnet-1.0",
    "googlenet": "googlenet", "alexnet": "alexnet",
}  # fmt: skip


def cells_of(page: str) -> Iterator[tuple[int, list[str]]]:
    """Rows of the page's tables, with their lines."""
    for number, line in enumerate(page.splitlines(), start=1):
        if line.startswith("|"):
            yield number, [cell.strip() for cell in line.strip("|").split("|")]


def xnnpack_runs(page: str) -> Iterator[PublicRun]:
    """Of the table of Raspberry Pis: one for each column and precision."""
    rows = list(cells_of(page))
    start = next(index for index, (_, cells) in enumerate(rows) if set(PIS) <= set(cells))
    line, head = rows[start]
    times = [cells for _, cells in rows[start + 2 :] if cells[0][:4] in ("FP32", "INT8")]
    for column, (board, _, threads) in PIS.items():
        for precision in (Precision.FP32, Precision.INT8):
            ms = {cells[0][5:]: float(cells[head.index(column)]) for cells in times if cells[0].startswith(precision.name)}
            yield PublicRun(
                board=board, runtime=Runtime.LITERT, runtime_version=None, precision=precision, threads=threads, cores="all",
                power_mode=None, date="2022-02-08", line=line, ms=ms,
            )  # fmt: skip


def torch2trt_run(page: str, board: str, date: str) -> PublicRun:
    """Latency of TensorRT in fp16, of the networks that the catalogue has."""
    ms = {}
    for _, cells in cells_of(page):
        name = cells[0].rpartition(".")[2]
        if name in TORCHVISION and re.fullmatch(r"[\d.e+]+", cells[-1]):
            ms[name] = float(cells[-1])
    return PublicRun(
        board=board, runtime=Runtime.TENSORRT, runtime_version=None, precision=Precision.FP16, threads=None, cores="gpu",
        power_mode=None, date=date, line=3, ms=ms,
    )  # fmt: skip


def _networks(archs: Mapping[str, str]) -> dict[str, PublicNetwork]:
    counted = counted_catalogue().networks
    return {
        name: PublicNetwork(arch=arch, resolution_px=counted[arch].resolution_px, classifies=True, work=counted[arch].work)
        for name, arch in archs.items()
    }


def _page(clone: Path, path: str) -> tuple[str, str, str]:
    """Text, commit of its last change, and that one's date."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(clone), *words], check=True, capture_output=True, text=True).stdout  # noqa: S603, S607

    commit, date = git("log", "-1", "--format=%H %cs", "--", path).split()
    return git("show", f"HEAD:{path}"), commit, date


def _xnnpack(clone: Path) -> PublicTable:
    page, commit, date = _page(clone, "README.md")
    runs = tuple(xnnpack_runs(page))
    require_unchanged(CHECKED["xnnpack"], digest_of(page), sum(len(run.ms) for run in runs))
    return PublicTable(
        name="xnnpack",
        source=PublicSource(
            title="XNNPACK, README.md (the kernels of LiteRT on CPUs)",
            url=f"https://github.com/google/XNNPACK/blob/{commit}/README.md",
            commit=commit, date=date, sha256=digest_of(page), licence="BSD-3-Clause",
        ),
        statistic="mean of end2end-bench over 5 s",
        networks=_networks(MOBILENETS),
        boards={name: PublicBoard(title=column.removesuffix(", ms"), device=file) for column, (name, file, _) in PIS.items()},
        runs=runs,
    )  # fmt: skip


def _torch2trt(clone: Path) -> PublicTable:
    pages = {path: _page(clone, path) for path in JETSONS}
    whole = "".join(page for page, _, _ in pages.values())
    runs = tuple(torch2trt_run(pages[path][0], board, date) for path, (board, _, _, date) in JETSONS.items())
    require_unchanged(CHECKED["torch2trt"], digest_of(whole), sum(len(run.ms) for run in runs))
    timed = {name for run in runs for name in run.ms}
    _, commit, date = pages["docs/benchmarks/jetson_xavier.md"]
    return PublicTable(
        name="torch2trt",
        source=PublicSource(
            title="torch2trt, benchmarks",
            url=f"https://github.com/NVIDIA-AI-IOT/torch2trt/tree/{commit}/docs/benchmarks",
            commit=commit, date=date, sha256=digest_of(whole), licence="MIT",
        ),
        statistic="mean latency of TensorRT at batch 1",
        networks=_networks({name: arch for name, arch in TORCHVISION.items() if name in timed}),
        boards={board: PublicBoard(title=title, device=device) for board, device, title, _ in JETSONS.values()},
        runs=runs,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("xnnpack", type=Path)
    parser.add_argument("torch2trt", type=Path)
    options = parser.parse_args()
    write_table(_xnnpack(options.xnnpack))
    write_table(_torch2trt(options.torch2trt))


if __name__ == "__main__":
    main()
