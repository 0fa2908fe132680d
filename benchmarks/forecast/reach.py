"""How far forecasts are off on networks and devices left out: ``results.json``, and the table in docs/howto/forecast.md.

python -m benchmarks.forecast.reach

Everything is computed from the committed tables. For each network that is left out, intervals are taken from the errors of the
other networks on other boards alone. The rule by multiply-adds gives a network the device's median time for each of them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.marked_sections import renew
from edgecnn.forecast.calibration import HERE, LEVEL, difficulty
from edgecnn.forecast.matrix import Matrix, base_matrix
from edgecnn.forecast.structure import Array, learn, place, predicted
from edgecnn.resources import resource_folder

RESULTS = Path(__file__).parent / "results.json"
PAGE = resource_folder("baselines").parent / "docs" / "howto" / "forecast.md"
TARGETS: Mapping[str, tuple[str, ...]] = {
    "Raspberry Pi 5": ("raspberry-pi-5",),
    "Raspberry Pi 4": ("raspberry-pi-4",),
    "RK3588": ("rk3588", "orange-pi-5", "orange-pi-5-plus"),
    "Jetson Orin's CPU": ("jetson-orin-nano", "jetson-agx-orin"),
    "Celeron N5105": ("celeron-n5105",),
    "Azure Cobalt 100 (Neoverse N2, as Graviton 4 is V2)": ("azure-d64ps-v6",),
}
X86 = (
    "amd-", "azure-d64s-v6", "azure-d64as-v7", "aws-c5", "hyper-v", "core-i7", "celeron-n5105", "intel-atom",
)  # fmt: skip
TRIPLES = (
    ("mobilenet-v2", "resnet-18", "googlenet"),
    ("mobilenet-v1", "resnet-50", "shufflenet-v2-x1.0"),
    ("mobilenet-v3-large", "resnet-18", "efficientnet-b0"),
    ("mnasnet-1.0", "googlenet", "ncnn:squeezenet"),
    ("efficientnet-v2-b0", "resnet-50", "mobilenet-v2"),
)
"""The networks by which a device that was left out is known, each triple in turn."""


class Left(NamedTuple):
    """One time that was left out."""

    board: str
    network: int
    off: float
    """log (predicted / published)"""
    hard: float
    naive: float
    """The same by the rule of multiply-adds."""


def main() -> None:
    matrix = base_matrix()
    cases = {
        "networks left out, times on x86 known": _networks_left_out(matrix, lambda board: _is_x86(matrix) & ~_of(matrix, board)),
        "networks left out, two runs on one x86 computer known": _timed_on_one(matrix),
        "networks never timed anywhere": _networks_left_out(matrix, lambda _: np.zeros(len(matrix.runs), dtype=np.bool_)),
        "devices left out, known by three networks": _devices_left_out(matrix),
    }
    results = {case: _rows(left) for case, left in cases.items()}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    if PAGE.is_file():
        renew(PAGE, {"reach": table(results)})


def table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The results as Markdown."""
    lines = ["| left out | target | times | median error | by multiply-adds | 90 % intervals hold | half-width |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    for case, rows in results.items():
        for target, row in rows.items():
            figures = (f"{row[name]:.0f} %" for name in ("median", "naive", "holds", "half_width"))
            lines.append(f"| {case} | {target} | {row['times']:,} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _rows(left: Sequence[Left]) -> dict[str, dict[str, float]]:
    every = {**TARGETS, "all boards": tuple({each.board for each in left})}
    rows = {}
    for target, boards in every.items():
        some = [each for each in left if each.board in boards]
        if not some:
            continue
        half = _half_widths(some, left)
        off = np.abs([each.off for each in some])
        rows[target] = {
            "times": len(some),
            "median": _percent(float(np.median(off))),
            "naive": _percent(float(np.median(np.abs([each.naive for each in some])))),
            "holds": round(100 * float(np.mean(off <= half)), 1),
            "half_width": _percent(float(np.median(half))),
        }
    return rows


def _percent(log: float) -> float:
    return round(100 * float(np.expm1(log)), 1)


def _half_widths(some: Sequence[Left], left: Sequence[Left]) -> Array:
    """From the errors of other networks on other boards."""
    scores = np.array([abs(each.off) / each.hard for each in left])
    networks, boards = np.array([each.network for each in left]), np.array([each.board for each in left])
    known: dict[tuple[int, str], float] = {}
    for each in some:
        name = each.network, each.board
        if name not in known:
            known[name] = float(np.quantile(scores[(networks != each.network) & (boards != each.board)], LEVEL))
    return np.array([known[each.network, each.board] * each.hard for each in some])


def _networks_left_out(matrix: Matrix, kept_for: Callable[[str], NDArray[np.bool_]]) -> list[Left]:
    """``kept_for``: of a board, the runs whose time of the network stays known."""
    left, hard = [], difficulty(matrix)
    by_kept: dict[bytes, list[str]] = {}
    for board in _boards(matrix):
        by_kept.setdefault(kept_for(board).tobytes(), []).append(board)
    for kept_bytes, boards in by_kept.items():
        kept = np.frombuffer(kept_bytes, dtype=np.bool_)
        for network in map(int, np.flatnonzero(matrix.classifies)):
            left += _left(matrix, _without(matrix, network, kept), network, ~kept & np.isin(_board_of_runs(matrix), boards), hard)
    return left


def _timed_on_one(matrix: Matrix) -> list[Left]:
    left, hard = [], difficulty(matrix)
    for board, threads in HERE:
        kept = np.array(
            [run is not None and run.run.board == board and run.run.threads in threads and run.run.note is None
             for run in matrix.runs]
        )  # fmt: skip
        others = ~_of(matrix, board) & (~_is_x86(matrix) | _of(matrix, "celeron-n5105"))
        for network in map(int, np.flatnonzero(matrix.classifies)):
            left += _left(matrix, _without(matrix, network, kept), network, others, hard)
    return left


def _left(matrix: Matrix, log_ms: Array, network: int, wanted: NDArray[np.bool_], hard: Array) -> list[Left]:
    found = _predict(matrix, log_ms)
    naive = _by_macs(matrix, network)
    return [
        Left(run.run.board, network, float(found[row, network] - matrix.log_ms[row, network]), float(hard[network]), naive[row])
        for row, run in enumerate(matrix.runs)
        if run is not None and wanted[row] and not np.isnan(matrix.log_ms[row, network])
    ]


def _devices_left_out(matrix: Matrix) -> list[Left]:
    left = []
    names = [column.name for column in matrix.columns]
    for board, triple in itertools.product(_boards(matrix), TRIPLES):
        known, rows = np.array([names.index(name) for name in triple]), np.flatnonzero(_of(matrix, board))
        log_ms = matrix.log_ms.copy()
        log_ms[rows] = np.nan
        log_ms[np.ix_(rows, known)] = matrix.log_ms[np.ix_(rows, known)]
        structure = learn(np.delete(log_ms, rows, axis=0), matrix.work)
        timed = ~np.isnan(log_ms[rows])
        rows, timed = rows[timed.sum(axis=1) == len(known)], timed[timed.sum(axis=1) == len(known)]
        found = predicted(place(np.where(timed, log_ms[rows], 0.0), timed, structure.networks), structure.networks)
        for index, network in itertools.product(range(len(rows)), np.flatnonzero(matrix.classifies)):
            truth = matrix.log_ms[rows[index]]
            if network not in known and not np.isnan(truth[network]):
                naive = float(np.median((truth - matrix.macs)[known]) + matrix.macs[network] - truth[network])
                left.append(Left(board, int(network), float(found[index, network] - truth[network]), 1.0, naive))
    return left


def _without(matrix: Matrix, network: int, kept: NDArray[np.bool_]) -> Array:
    log_ms = matrix.log_ms.copy()
    log_ms[~kept, network] = np.nan
    return log_ms


def _predict(matrix: Matrix, log_ms: Array) -> Array:
    known = ~np.isnan(log_ms)
    networks = learn(log_ms, matrix.work).networks
    return predicted(place(np.where(known, log_ms, 0.0), known, networks), networks)


def _by_macs(matrix: Matrix, network: int) -> list[float]:
    """(runs,) log of predicted over published where every network takes as long for each multiply-add."""
    others = matrix.classifies.copy()
    others[network] = False
    rates = np.nanmedian((matrix.log_ms - matrix.macs)[:, others], axis=1)
    return [float(off) for off in rates + matrix.macs[network] - matrix.log_ms[:, network]]


def _boards(matrix: Matrix) -> Iterable[str]:
    return sorted(set(_board_of_runs(matrix)))


def _board_of_runs(matrix: Matrix) -> list[str]:
    return [run.run.board for run in matrix.runs if run is not None]


def _of(matrix: Matrix, board: str) -> NDArray[np.bool_]:
    return np.array([name == board for name in _board_of_runs(matrix)])


def _is_x86(matrix: Matrix) -> NDArray[np.bool_]:
    return np.array([name.startswith(X86) for name in _board_of_runs(matrix)])


if __name__ == "__main__":
    main()
