"""State of a sweep's builds between two calls: how each ended, whether its settings have changed, and what changed.

The results folder is the user's: an unusable file or folder in it is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from filelock import FileLock, Timeout
from pydantic import Field, ValidationError, field_validator

import edgecnn
from edgecnn.comparing.side_by_side import shipped_since
from edgecnn.data.formats.registry import is_on_disk
from edgecnn.data.manifest import list_files
from edgecnn.devices.files import target_of
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.data import NoClassFolders
from edgecnn.errors.sweeps import NOT_A_SWEEP_FOLDER, SWEEP_IS_RUNNING
from edgecnn.errors.wording import first_of, first_problem
from edgecnn.planning.complete import tool_versions
from edgecnn.results.folder import PLAN, REPORT, report_or_none
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import (
    DOCUMENT_BYTES_MAX,
    Stamp,
    files_under,
    inside,
    sha256_of,
    stamp_from,
    user_path,
    write_bytes_atomically,
    write_text_atomically,
)
from edgecnn.store.store import Store
from edgecnn.sweeps.file import Cell
from edgecnn.values.base import PlainName, Value, another_schema
from edgecnn.values.recipe import DataChoice, GateChoice
from edgecnn.values.stage import Progress, digest_of
from edgecnn.values.verdict import Interval, Verdict


@contextmanager
def named_failures(path: Path) -> Iterator[None]:
    """Raise NOT_A_SWEEP_FOLDER if the system refuses the block's access to the path."""
    try:
        yield
    except OSError as error:
        raise NOT_A_SWEEP_FOLDER(path=path, because=system_reason(error)) from error


STATE: Final = "sweep.json"
SCHEMA: Final = "edgecnn.sweep-state/1"
LOCK: Final = ".edgecnn-sweep.lock"
BUILDS, LOGS, EARLIER = "builds", "logs", "earlier"
"""Folders of a sweep's results: builds, logs, and earlier reports of builds whose settings changed."""


class Since(Value):
    """A build compared with its result under earlier settings."""

    made_at: str
    """Date of the earlier result."""
    shipped: str | None
    ships: str | None
    was: Verdict
    drop_pp: Interval | None
    """Top-1, or mAP, that the shipped candidate loses against the earlier one on the same images, percentage points; two-sided
    90 %."""
    absent: str | None = None
    """Why there is no such difference."""
    lines: tuple[str, ...] = ()
    """Changed settings, one a line, such as ``recipe train.epochs: 3 → 10``."""


class CellOutcome(Value):
    """How one build ended."""

    name: PlainName
    asked: str
    """Digest of its request, made by ``fingerprints``."""
    exit_code: int
    reported: bool
    """Whether it left a report. Otherwise it failed before its verdict."""
    error: str | None = None
    """Why it left no report."""
    seconds: float
    ended_at: str
    since: Since | None = None
    """None: its settings never changed, or it left no report."""
    board: str | None = None
    """The leased board that measured it; None: measured elsewhere."""


class SweepState(Value):
    """``sweep.json``."""

    schema_: Literal["edgecnn.sweep-state/1"] = Field(default="edgecnn.sweep-state/1", alias="schema")
    version: str = edgecnn.__version__
    sweep: str
    """Path of the sweep file."""
    cells: Mapping[PlainName, str] = {}
    """Build to the digest of its request in the last run."""
    tools: Mapping[str, str] = {}
    """Version of each tool in the last run."""
    gates: GateChoice = GateChoice()
    """Bounds of the last run; each replaced the bound of the same metric in every recipe."""
    outcomes: Mapping[PlainName, CellOutcome] = {}
    begun: tuple[PlainName, ...] = ()
    """Builds that have not ended since their start, so the request of the figures in their folders is not known."""
    set_aside: Mapping[str, str] = {}
    """Board, or board for a target, to the reason why the last call excluded it."""

    @field_validator("outcomes")
    @classmethod
    def _require_own_names(cls, outcomes: Mapping[str, CellOutcome]) -> Mapping[str, CellOutcome]:
        for name, outcome in outcomes.items():
            if outcome.name != name:
                raise ValueError(f"the outcome of {ascii(name)[:100]} has the name {ascii(outcome.name)[:100]}")
        return outcomes

    def with_begun(self, name: str) -> SweepState:
        """Return the state with one more started build."""
        return self.model_copy(update={"begun": tuple(sorted({*self.begun, name}))})

    def with_outcome(self, outcome: CellOutcome) -> SweepState:
        """Return the state with a new outcome of a build."""
        begun = tuple(name for name in self.begun if name != outcome.name)
        return self.model_copy(update={"outcomes": {**self.outcomes, outcome.name: outcome}, "begun": begun})


def build_folder(out: Path, name: str) -> Path:
    """Return the results folder of a build of a sweep. Raises NAME_NOT_PLAIN: see ``inside``."""
    return inside(out, BUILDS, name)


@contextmanager
def sweep_lock(out: Path) -> Iterator[None]:
    """Make and lock a results folder. Raises SWEEP_IS_RUNNING: another process holds the lock."""
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


def is_running(out: Path) -> bool:
    """Whether a sweep is running in a results folder."""
    if not (out / LOCK).exists():
        return False
    try:
        with FileLock(out / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # for example in a read-only folder
        return False


def read_state(out: Path, sweep: Path) -> SweepState:
    """Read the state of a sweep; an empty one if there is none.

    Raises NOT_A_SWEEP_FOLDER: the file is damaged, or of another version.
    """
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
    """Write the state of a sweep. Raises NOT_A_SWEEP_FOLDER: it cannot be written."""
    with named_failures(out / STATE):
        write_text_atomically(out / STATE, state.model_dump_json(indent=1, by_alias=True) + "\n")


def fingerprints(cells: Sequence[Cell], store: Store, tell: Progress) -> dict[str, str]:
    """Return a digest of each build's request: recipe, bounds, device, board, versions and the contents of named files.

    Only contents count, so that new permissions or dates ask no build again. Images are read once, as in any build.

    Raises EdgecnnError: a device is unknown.
    """
    digests, tools = dict[str, Any](), tool_versions()

    def images(choice: DataChoice) -> Any:
        key = digest_of(choice.model_dump(mode="json"))
        if key not in digests:
            digests[key] = _images_state(choice, store, tell)
        return digests[key]

    return {cell.name: digest_of(_fingerprint_facts(cell, images(cell.recipe.data), tools)) for cell in cells}


def _fingerprint_facts(cell: Cell, images: Any, tools: Mapping[str, str]) -> dict[str, Any]:
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
        "files": [_content(path) for path in (*(user_path(path) for path in named if path is not None), *teacher)],
        "folders": [[[name, _content(path)] for name, path in sorted(files_under(Path(folder)))] for folder in folders],
        "images": images,
    }


def _content(path: Path) -> str | None:
    """Return the digest of a file, following links, or of the files in a folder; None if there is neither."""
    try:
        path = path.resolve()
        if path.is_dir():
            return digest_of([[name, _content(file)] for name, file in sorted(files_under(path))])
        return _content_at(path, stamp_from(path.stat()))
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle
        return None


@lru_cache(maxsize=100_000)
def _content_at(path: Path, _: Stamp) -> str:
    return sha256_of(path)


def _images_state(choice: DataChoice, store: Store, tell: Progress) -> Any:
    if not is_on_disk(choice.path):
        return choice.path
    try:
        return list_files(choice, store.root, tell).with_contents(store.root, tell).state(choice.classes)
    except NoClassFolders as error:
        if choice.labels is not None or not error.fields["files"]:
            return error.line()
        return _images_state(choice.model_copy(update={"labels": False}), store, tell)  # a custom model needs no labels
    except EdgecnnError as error:  # each of its builds fails with this line
        return error.line()


def changed_since(state: SweepState, current: Mapping[str, str]) -> list[str]:
    """Return a sentence for each difference from the last run of this sweep."""
    if not state.cells:
        return []
    new = [name for name in current if name not in state.cells]
    gone = [name for name in state.cells if name not in current]
    other = [name for name, now in current.items() if state.cells.get(name, now) != now]
    tools = [f"{name} {state.tools[name]} → {now}" for name, now in tool_versions().items() if state.tools.get(name, now) != now]
    sentences = (
        (tools, "tool versions changed since the last run; the results may differ"),
        (new, "new since the last run"),
        (gone, "no longer in the sweep; their results stay where they are"),
        (other, "settings changed since the last run; a run builds them again"),
    )
    return [f"{first_of(names, 5)}: {sentence}" for names, sentence in sentences if names]


def keep_earlier_report(out: Path, outcome: CellOutcome | None, fingerprint: str) -> None:
    """Keep a build's earlier plan and report, before a build with other settings replaces them.

    A report that a killed call wrote after that outcome is not kept. Raises NOT_A_SWEEP_FOLDER: the files cannot be written.
    """
    if outcome is None or not outcome.reported or outcome.asked == fingerprint:
        return
    folder, aside = build_folder(out, outcome.name), inside(out, EARLIER, outcome.name)
    report = report_or_none(folder)
    if report is None or report.made_at > outcome.ended_at:
        return
    with named_failures(aside):
        aside.mkdir(parents=True, exist_ok=True)
        for name in (PLAN, REPORT):
            with suppress(FileNotFoundError):
                write_bytes_atomically(aside / name, (folder / name).read_bytes())


def since(out: Path, name: str, store: Store) -> Since | None:
    """Compare a build with its kept earlier report; None if there is none, or one cannot be read."""
    before, now = (report_or_none(folder) for folder in (inside(out, EARLIER, name), build_folder(out, name)))
    if before is None or now is None:
        return None
    try:
        paired, changed = shipped_since(inside(out, EARLIER, name), build_folder(out, name), store)
    except EdgecnnError:
        return None
    return Since(
        made_at=before.made_at,
        shipped=before.choice.candidate,
        ships=now.choice.candidate,
        was=before.verdict,
        drop_pp=None if paired is None else paired.drop_pp,
        absent="one of the builds ships no kit" if paired is None else paired.absent,
        lines=changed.lines,
    )
