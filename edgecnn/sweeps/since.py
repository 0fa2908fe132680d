"""What a build of a sweep was before it was asked for otherwise, kept until it is again, and what has changed since."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from edgecnn.comparing.side_by_side import shipped_since
from edgecnn.errors.base import EdgecnnError
from edgecnn.results.folder import PLAN, REPORT, report_or_none
from edgecnn.store.disk import write_bytes_atomically
from edgecnn.store.store import Store
from edgecnn.sweeps.results import usable
from edgecnn.sweeps.state import EARLIER, CellOutcome, Since, build_folder


def keep(out: Path, outcome: CellOutcome | None, asked: str) -> None:
    """Put aside what a build said when it ended so, before it is built as it is asked for now.

    What a call that was killed then wrote, later than that end, is not what it was before.

    Raises NotASweepFolder: it cannot be put there.
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
