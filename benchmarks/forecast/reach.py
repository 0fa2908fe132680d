"""How far forecasts are off on what was left out: ``results.json``, and the table in docs/concepts/how-forecasts-work.md.

python -m benchmarks.forecast.reach

Everything is computed from the committed tables. Each interval is the one that ``edgecnn forecast`` would print, without
the errors of the network and of the device that are left out. Boards with the same processor count as one device. The rule by
multiply-adds gives a network the device's median time for each of them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.marked_sections import renew
from edgecnn.forecast.calibration import BASE, HERE, Question, between_boards, difficulty, errors_on_public_runs, half_width
from edgecnn.forecast.structure import Array, Matrix, base_matrix, learn_structure, place_runs, predicted_log_ms
from edgecnn.forecast.tables import TableRun
from edgecnn.installed import resource_folder
from edgecnn.values.forecast import ForecastBasis

RESULTS = Path(__file__).parent / "results.json"
PAGE = resource_folder("baselines").parent / "docs" / "concepts" / "how-forecasts-work.md"
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
    soc: str
    network: int
    off: float
    """log (predicted / published)"""
    elsewhere: tuple[float, ...]
    """The same on each other board of the device under the same conditions."""
    naive: float
    """By the rule of multiply-adds."""


QUESTIONS: Mapping[str, Question] = {
    "networks left out, times on x86 known": Question(ForecastBasis.TRANSFERRED),
    "networks left out, two runs on one x86 computer known": Question(ForecastBasis.TRANSFERRED, here=2),
    "networks never timed anywhere": Question(ForecastBasis.COUNTED),
    "devices left out, known by three networks": Question(ForecastBasis.TRANSFERRED, placed_by=3),
}
"""Each case with what a forecast knows in it."""


def main() -> None:
    matrix = base_matrix()
    on_x86, timed_on_one, never, by_three = QUESTIONS
    cases = {
        on_x86: _networks_left_out(matrix, lambda soc: _is_x86(matrix) & ~_of(matrix, soc)),
        timed_on_one: _timed_on_one(matrix),
        never: _networks_left_out(matrix, lambda _: np.zeros(len(matrix.runs), dtype=np.bool_)),
        by_three: _devices_left_out(matrix),
    }
    results = {case: _rows(left, QUESTIONS[case]) for case, left in cases.items()}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    if PAGE.is_file():
        renew(PAGE, {"reach": table(results)})


def table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The results as Markdown."""
    lines = ["| left out | target | times | median error | by multiply-adds | on this board | on another board | half-width |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for case, rows in results.items():
        for target, row in rows.items():
            names = ("median", "naive", "holds", "holds_elsewhere", "half_width")
            figures = ("–" if row[name] is None else f"{row[name]:.0f} %" for name in names)
            lines.append(f"| {case} | {target} | {row['times']:,} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _rows(left: Sequence[Left], question: Question) -> dict[str, dict[str, Any]]:
    every = {**TARGETS, "all boards": tuple({one.board for one in left})}
    rows = {}
    for target, boards in every.items():
        some = [one for one in left if one.board in boards]
        if not some:
            continue
        half = _half_widths(some, question)
        off = np.abs([one.off for one in some])
        elsewhere = [abs(other) <= width for one, width in zip(some, half, strict=True) for other in one.elsewhere]
        rows[target] = {
            "times": len(some),
            "median": _percent(float(np.median(off))),
            "naive": _percent(float(np.median(np.abs([one.naive for one in some])))),
            "holds": round(100 * float(np.mean(off <= half)), 1),
            "holds_elsewhere": round(100 * float(np.mean(elsewhere)), 1) if elsewhere else None,
            "half_width": _percent(float(np.median(half))),
        }
    return rows


def _percent(log: float) -> float:
    return round(100 * float(np.expm1(log)), 1)


def _half_widths(some: Sequence[Left], question: Question) -> Array:
    """As a forecast prints them, from the errors of other networks on other devices."""
    off, boards, hard = errors_on_public_runs(question, BASE), between_boards(), difficulty(base_matrix())
    assert off is not None
    known: dict[tuple[int, str], float] = {}
    for network, soc in {(one.network, one.soc) for one in some}:
        others = off.without(network, soc), boards.without(network, soc)
        known[network, soc] = half_width(*others, hard[network] if question.is_by_work else 1.0)
    return np.array([known[one.network, one.soc] for one in some])


def _networks_left_out(matrix: Matrix, kept_for: Callable[[str], NDArray[np.bool_]]) -> list[Left]:
    """``kept_for``: of a device, the runs whose time of the network stays known."""
    left = []
    by_kept: dict[bytes, list[str]] = {}
    for soc in _socs(matrix):
        by_kept.setdefault(kept_for(soc).tobytes(), []).append(soc)
    for kept_bytes, socs in by_kept.items():
        kept = np.frombuffer(kept_bytes, dtype=np.bool_)
        for network in map(int, np.flatnonzero(matrix.classifies)):
            wanted = ~kept & np.isin([run.soc for run in _table_runs(matrix)], socs)
            left += _left(matrix, _without(matrix, network, kept), network, wanted)
    return left


def _timed_on_one(matrix: Matrix) -> list[Left]:
    left = []
    for board, threads in HERE:
        kept = np.array(
            [run is not None and run.run.board == board and run.run.threads in threads and run.run.note is None
             for run in matrix.runs]
        )  # fmt: skip
        others = ~_of(matrix, board) & (~_is_x86(matrix) | _of(matrix, "celeron-n5105"))
        for network in map(int, np.flatnonzero(matrix.classifies)):
            left += _left(matrix, _without(matrix, network, kept), network, others)
    return left


def _left(matrix: Matrix, log_ms: Array, network: int, wanted: NDArray[np.bool_]) -> list[Left]:
    table_rows = _predict(matrix, log_ms)[:, network]
    naive, runs = _macs_line(matrix, network), _table_runs(matrix)
    return [
        Left(run.run.board, run.soc, network, float(table_rows[row] - matrix.log_ms[row, network]),
             _elsewhere(matrix, row, network, float(table_rows[row])), naive[row])
        for row, run in enumerate(runs)
        if wanted[row] and not np.isnan(matrix.log_ms[row, network])
    ]  # fmt: skip


def _elsewhere(matrix: Matrix, row: int, network: int, log_ms: float) -> tuple[float, ...]:
    """log (predicted / published) of the other boards of a row's device that ran with as many threads."""
    truths = matrix.log_ms[list(_twins(row)), network]
    return tuple(float(off) for off in log_ms - truths[~np.isnan(truths)])


@cache
def _twins(row: int) -> tuple[int, ...]:
    runs = _table_runs(base_matrix())
    one = runs[row]

    def conditions(run: TableRun) -> tuple[object, ...]:
        return run.soc, run.device, run.run.threads, run.run.cores, run.run.note

    return tuple(other for other, run in enumerate(runs) if run.run.board != one.run.board and conditions(run) == conditions(one))


def _devices_left_out(matrix: Matrix) -> list[Left]:
    left = []
    names = [column.name for column in matrix.columns]
    runs = _table_runs(matrix)
    for soc, triple in itertools.product(_socs(matrix), TRIPLES):
        known, rows = np.array([names.index(name) for name in triple]), np.flatnonzero(_of(matrix, soc))
        log_ms = matrix.log_ms.copy()
        log_ms[rows] = np.nan
        log_ms[np.ix_(rows, known)] = matrix.log_ms[np.ix_(rows, known)]
        structure = learn_structure(np.delete(log_ms, rows, axis=0), matrix.work)
        timed = ~np.isnan(log_ms[rows])
        rows, timed = rows[timed.sum(axis=1) == len(known)], timed[timed.sum(axis=1) == len(known)]
        prediction = predicted_log_ms(
            place_runs(np.where(timed, log_ms[rows], 0.0), timed, structure.networks), structure.networks
        )
        for index, network in itertools.product(range(len(rows)), np.flatnonzero(matrix.classifies)):
            truth = matrix.log_ms[rows[index]]
            if network not in known and not np.isnan(truth[network]):
                naive = float(np.median((truth - matrix.macs)[known]) + matrix.macs[network] - truth[network])
                log_found, board = float(prediction[index, network]), runs[rows[index]].run.board
                elsewhere = _elsewhere(matrix, int(rows[index]), int(network), log_found)
                left.append(Left(board, soc, int(network), log_found - float(truth[network]), elsewhere, naive))
    return left


def _without(matrix: Matrix, network: int, kept: NDArray[np.bool_]) -> Array:
    log_ms = matrix.log_ms.copy()
    log_ms[~kept, network] = np.nan
    return log_ms


def _predict(matrix: Matrix, log_ms: Array) -> Array:
    known = ~np.isnan(log_ms)
    networks = learn_structure(log_ms, matrix.work).networks
    return predicted_log_ms(place_runs(np.where(known, log_ms, 0.0), known, networks), networks)


def _macs_line(matrix: Matrix, network: int) -> list[float]:
    """(runs,) log of predicted over published where every network takes as long for each multiply-add."""
    others = matrix.classifies.copy()
    others[network] = False
    rates = np.nanmedian((matrix.log_ms - matrix.macs)[:, others], axis=1)
    return [float(off) for off in rates + matrix.macs[network] - matrix.log_ms[:, network]]


def _table_runs(matrix: Matrix) -> list[TableRun]:
    return [run for run in matrix.runs if run is not None]


def _socs(matrix: Matrix) -> Iterable[str]:
    return sorted({run.soc for run in _table_runs(matrix)})


def _of(matrix: Matrix, soc: str) -> NDArray[np.bool_]:
    return np.array([run.soc == soc for run in _table_runs(matrix)])


def _is_x86(matrix: Matrix) -> NDArray[np.bool_]:
    return np.array([run.run.board.startswith(X86) for run in _table_runs(matrix)])


if __name__ == "__main__":
    main()
