"""Of a folder of results that cannot be used one line is said, whatever in it is amiss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import NOT_A_SWEEP_FOLDER
from edgecnn.render.progress import Quiet
from edgecnn.results.folder import REPORT, report_text
from edgecnn.store.store import Store
from edgecnn.sweeps.apart import ClusterProcess
from edgecnn.sweeps.boards import Ended
from edgecnn.sweeps.file import Cell
from edgecnn.sweeps.run import Children, SweepRun, ending_text, log_path, run_builds
from edgecnn.sweeps.state import CellOutcome, SweepState, build_folder, keep_earlier_report
from tests.render.reports import a_report, a_row
from tests.sweeps.written import cells


def work(out: Path, cell: Cell) -> None:
    run = SweepRun(out, [cell], {cell.name: "asked"}, Store.open(out.parent / "store"), total=1)
    run_builds(run, SweepState(sweep="sweep.toml"), Quiet())


def begin(out: Path, cell: Cell) -> None:
    (out / "logs" / f"{cell.name}.log").mkdir(parents=True)
    Children(out).run("build", cell)


def make_elsewhere(out: Path, cell: Cell) -> None:
    ClusterProcess("ray", out, Store.open(out.parent / "store"), Quiet()).make([cell], print)


def put_aside(out: Path, cell: Cell) -> None:
    build_folder(out, cell.name).mkdir(parents=True)
    (build_folder(out, cell.name) / REPORT).write_text(report_text(a_report(a_row(chosen=True))), encoding="utf-8")
    outcome = CellOutcome(name=cell.name, asked="1", exit_code=0, reported=True, seconds=1.0, ended_at="9999")
    keep_earlier_report(out, outcome, "2")


@pytest.mark.parametrize(
    ("file", "call", "said"),
    [
        ("logs", work, "logs cannot be used: file exists"),
        (None, begin, "lenet-5-cpu.log cannot be used: is a directory"),
        ("logs", make_elsewhere, "logs/cluster.log cannot be used: file exists"),
        ("earlier", put_aside, "earlier/lenet-5-cpu cannot be used: not a directory"),
    ],
)
def test_what_cannot_be_written_is_said_with_the_way_out(
    file: str | None, call: Callable[[Path, Cell], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecnn.sweeps.apart.require_packages", lambda *given, **more: None)
    (cell,) = cells(tmp_path, '[grid]\nmodel.arch = ["lenet-5"]')
    out = tmp_path / "out"
    out.mkdir()
    if file is not None:
        (out / file).write_text("")
    with pytest.raises(EdgecnnError, check=NOT_A_SWEEP_FOLDER.made) as caught:
        call(out, cell)
    assert caught.value.line().endswith(f"{said} — choose another folder with --out [not-a-sweep-folder]")


def test_a_build_that_fails_leaves_its_error_as_a_value_and_its_line_in_the_log(tmp_path: Path) -> None:
    (cell,) = cells(tmp_path, '[grid]\nmodel.arch = ["lenet-5"]\ndata.path = ["nowhere"]')
    (tmp_path / "logs").mkdir()
    ended = Children(tmp_path).run("build", cell)
    assert ended.code == 2 and ended.error is not None
    assert ended.error.line() in log_path(tmp_path, cell.name).read_text(encoding="utf-8")
    assert ending_text(ended, tmp_path / "no log") == ended.error.line()
    assert ending_text(Ended(-9), tmp_path / "no log").startswith("ended by SIGKILL")
    assert ending_text(Ended(1), tmp_path / "no log") == f"exit 1; its log is {tmp_path / 'no log'}"
