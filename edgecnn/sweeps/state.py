"""What is known of a sweep's builds between two calls: how each ended, whether it is still the build that is asked, what changed.

The folder of results is the user's: a file or folder in it that cannot be used is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

import edgecnn
from edgecnn.comparing.side_by_side import shipped_since
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.data.manifest import list_files
from edgecnn.devices.files import target_of
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.data.folder import NoClassFolders
from edgecnn.errors.sweeps import NOT_A_SWEEP_FOLDER, SWEEP_IS_RUNNING
from edgecnn.errors.wording import first_of, first_problem
from edgecnn.planning.complete import tool_versions
from edgecnn.results.folder import PLAN, REPORT, report_or_none
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import (
    DOCUMENT_BYTES_MAX,
    Stamp,
    files_under,
    stamped,
    user_path,
    write_bytes_atomically,
    write_text_atomically,
)
from edgecnn.store.store import Store
from edgecnn.sweeps.file import Cell
from edgecnn.values.base import Value, another_schema
from edgecnn.values.recipe import DataChoice, GateChoice
from edgecnn.values.stage import Progress, digest_of
from edgecnn.values.verdict import Interval, Verdict


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """What the block reads or writes lies there. Raises NOT_A_SWEEP_FOLDER: the system refuses it."""
    try:
        yield
    except OSError as error:
        raise NOT_A_SWEEP_FOLDER(path=path, because=system_reason(error)) from error


STATE: Final = "sweep.json"
SCHEMA: Final = "edgecnn.sweep-state/1"
LOCK: Final = ".edgecnn-sweep.lock"
BUILDS, LOGS, EARLIER = "builds", "logs", "earlier"
"""Folders of a sweep's results: one of each build, what each said, and what each was before it was asked for otherwise."""


class Since(Value):
    """What a build is against what it was before it was asked for otherwise."""

    made_at: str
    """Of the earlier one."""
    shipped: str | None
    ships: str | None
    was: Verdict
    drop_pp: Interval | None
    """Top-1, or mAP, that what ships loses against what shipped, on the same images, percentage points; two-sided 90 %."""
    absent: str | None = None
    """Why there is no such difference."""
    lines: tuple[str, ...] = ()
    """What was asked otherwise, one a line, such as ``recipe train.epochs: 3 → 10``."""


class CellOutcome(Value):
    """How one build ended."""

    name: str
    asked: str
    """Digest of all that was asked of it: ``fingerprints`` makes it."""
    exit_code: int
    reported: bool
    """Whether it left a report; where not, it failed before its verdict."""
    error: str | None = None
    """Why it left no report."""
    seconds: float
    ended_at: str
    since: Since | None = None
    """None where it was never asked for otherwise, or left no report."""
    board: str | None = None
    """The leased board that measured it; None: it was measured elsewhere."""


class SweepState(Value):
    """``sweep.json``."""

    schema_: Literal["edgecnn.sweep-state/1"] = Field(default="edgecnn.sweep-state/1", alias="schema")
    version: str = edgecnn.__version__
    sweep: str
    """The sweep's file."""
    cells: Mapping[str, str] = {}
    """Build to what was asked of it when the sweep was last run."""
    tools: Mapping[str, str] = {}
    """Version of each tool when the sweep was last run."""
    gates: GateChoice = GateChoice()
    """Bounds of that call, which replaced those of every build's recipe."""
    outcomes: Mapping[str, CellOutcome] = {}
    begun: tuple[str, ...] = ()
    """Builds that did not end since: which request's figures lie in the folder of one that was interrupted is not known."""
    set_aside: Mapping[str, str] = {}
    """Board, or board for a target, to why the last call measured no more there."""

    def with_begun(self, name: str) -> SweepState:
        """The same, one build begun."""
        return self.model_copy(update={"begun": tuple(sorted({*self.begun, name}))})

    def with_outcome(self, outcome: CellOutcome) -> SweepState:
        """The same with one more build, or the same build once more."""
        begun = tuple(name for name in self.begun if name != outcome.name)
        return self.model_copy(update={"outcomes": {**self.outcomes, outcome.name: outcome}, "begun": begun})


def build_folder(out: Path, name: str) -> Path:
    """Where a build of a sweep leaves its results."""
    return out / BUILDS / name


@contextmanager
def sweep_lock(out: Path) -> Iterator[None]:
    """One sweep at a time in one folder of results, which is made. Raises SWEEP_IS_RUNNING: another process has it."""
    lock = FileLock(out / LOCK)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise SWEEP_IS_RUNNING(out=out) from None
    except OSError as error:
        raise NOT_A_SWEEP_FOLDER(path=out, because=system_reason(error)) from error
    try:
        yield
    finally:
        lock.release()


def is_at_work(out: Path) -> bool:
    """Whether a sweep is being run in this folder of results."""
    if not (out / LOCK).exists():
        return False
    try:
        with FileLock(out / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # such as in a folder that can only be read
        return False


def read_state(out: Path, sweep: Path) -> SweepState:
    """What is known; of a folder without a state, nothing. Raises NOT_A_SWEEP_FOLDER: the file is damaged or of another
    version."""
    path = out / STATE
    try:
        content = bounded_content(path, DOCUMENT_BYTES_MAX)
        return SweepState.model_validate_json(content)
    except FileNotFoundError:
        return SweepState(sweep=str(sweep))
    except OSError as error:
        raise NOT_A_SWEEP_FOLDER(path=path, because=system_reason(error)) from error
    except ValidationError as error:
        raise NOT_A_SWEEP_FOLDER(path=path, because=another_schema(content, SCHEMA) or first_problem(error)) from error


def write_state(out: Path, state: SweepState) -> None:
    """Raises NOT_A_SWEEP_FOLDER: it cannot be written."""
    with usable(out / STATE):
        write_text_atomically(out / STATE, state.model_dump_json(indent=1, by_alias=True) + "\n")


def fingerprints(cells: Sequence[Cell], store: Store, tell: Progress) -> dict[str, str]:
    """Build to a digest of all that is asked of it: recipe, bounds, device, board, versions, and the state of named files.

    Files are looked at and not read; images that changed are found as any build finds them, by their stamps.
    Raises EdgecnnError: a device is unknown.
    """
    seen, tools = dict[str, Any](), tool_versions()

    def images(choice: DataChoice) -> Any:
        key = digest_of(choice.model_dump(mode="json"))
        if key not in seen:
            seen[key] = _images(choice, store, tell)
        return seen[key]

    return {cell.name: digest_of(_asked(cell, images(cell.recipe.data), tools)) for cell in cells}


def _asked(cell: Cell, images: Any, tools: Mapping[str, str]) -> dict[str, Any]:
    recipe = cell.recipe
    named = [recipe.model.onnx, recipe.model.weights, recipe.data.classes]
    folders = recipe.synthesis.stated_folders.values()
    teacher = () if recipe.train.teacher is None else (user_path(recipe.train.teacher) / REPORT,)
    return {
        "version": edgecnn.__version__,
        "tools": tools,
        "recipe": recipe.model_dump(mode="json", by_alias=True),
        "device": target_of(recipe.target, None).device.model_dump(mode="json"),
        "host": cell.host,
        **({} if cell.leased is None else {"leased": cell.leased}),
        **({} if cell.gates == GateChoice() else {"gates": cell.gates.model_dump(mode="json")}),
        "files": [_stamp(path) for path in (*(user_path(path) for path in named if path is not None), *teacher)],
        "folders": [[[name, _stamp(path)] for name, path in sorted(files_under(Path(each)))] for each in folders],
        "images": images,
    }


def _stamp(path: Path) -> Stamp | None:
    """Of a file, links followed; None where none is there."""
    try:
        return stamped(path.stat())
    except (OSError, ValueError):
        return None


def _images(choice: DataChoice, store: Store, tell: Progress) -> Any:
    if not is_on_disk(choice.path):
        return choice.path
    try:
        return list_files(choice, store.root, tell).state(choice.classes)
    except NoClassFolders as error:
        if choice.labels is not None or not error.fields["files"]:
            return error.line()
        return _images(choice.model_copy(update={"labels": False}), store, tell)  # as a custom model takes them
    except EdgecnnError as error:  # its builds fail with this line, each by itself
        return error.line()


def changed_since(state: SweepState, asked: Mapping[str, str]) -> list[str]:
    """What differs from the last run of this sweep, a sentence each."""
    if not state.cells:
        return []
    added = [name for name in asked if name not in state.cells]
    gone = [name for name in state.cells if name not in asked]
    other = [name for name, now in asked.items() if state.cells.get(name, now) != now]
    tools = [f"{name} {state.tools[name]} → {now}" for name, now in tool_versions().items() if state.tools.get(name, now) != now]
    sentences = (
        (tools, "other tools than in the last run, which may make other bytes"),
        (added, "new since the last run"),
        (gone, "no longer in the sweep; their results stay where they are"),
        (other, "asked for otherwise than in the last run, so that a run builds them again"),
    )
    return [f"{first_of(names, 5)}: {said}" for names, said in sentences if names]


def keep(out: Path, outcome: CellOutcome | None, asked: str) -> None:
    """Put aside what a build said when it ended so, before it is built as it is asked for now.

    What a call that was killed then wrote, later than that end, is not what it was before.

    Raises NOT_A_SWEEP_FOLDER: it cannot be put there.
    """
    if outcome is None or not outcome.reported or outcome.asked == asked:
        return
    folder, aside = build_folder(out, outcome.name), out / EARLIER / outcome.name
    report = report_or_none(folder)
    if report is None or report.made_at > outcome.ended_at:
        return
    with usable(aside):
        aside.mkdir(parents=True, exist_ok=True)
        for each in (PLAN, REPORT):
            with suppress(FileNotFoundError):
                write_bytes_atomically(aside / each, (folder / each).read_bytes())


def since(out: Path, name: str, store: Store) -> Since | None:
    """What differs between a build and what was put aside of it; None where nothing was, or either cannot be read."""
    before, now = (report_or_none(folder) for folder in (out / EARLIER / name, build_folder(out, name)))
    if before is None or now is None:
        return None
    try:
        paired, changed = shipped_since(out / EARLIER / name, build_folder(out, name), store)
    except EdgecnnError:
        return None
    return Since(
        made_at=before.made_at,
        shipped=before.choice.candidate,
        ships=now.choice.candidate,
        was=before.verdict,
        drop_pp=None if paired is None else paired.drop_pp,
        absent="one of them ships nothing" if paired is None else paired.absent,
        lines=changed.lines,
    )
