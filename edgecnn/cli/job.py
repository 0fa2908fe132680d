"""What a CI job reads beside the exit code: a JUnit file, GitHub's annotations, and a summary for its page.

The file is there from the beginning, as an error: a call that is killed must not leave an earlier call's verdict behind.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.errors.base import EdgecnnError, ExitCode, system_reason
from edgecnn.errors.recipes import EmptyOption
from edgecnn.errors.usage import NoVerdict, ResultFileUnwritable

if TYPE_CHECKING:
    from edgecnn.render.ci import GateSheet


class Job:
    """Who else is told of a judgement."""

    def __init__(self, junit: str | None = None, *, unsure_passes: bool = False) -> None:
        self._junit, self._unsure_passes = junit, unsure_passes

    def watched(self, body: Callable[[], ExitCode]) -> ExitCode:
        """Run a body that will call ``tell``, and end as the job wants; an error that it ends with stands in the JUnit file too.

        Raises:
            EmptyOption, ResultFileUnwritable: of ``--junit``, before the body runs.
        """
        if self._junit is None:
            return self._ended(body())
        if not self._junit.strip():
            raise EmptyOption(option="--junit")
        from edgecnn.render.ci import junit_of_error

        self._write(junit_of_error(NoVerdict()))
        try:
            return self._ended(body())
        except EdgecnnError as error:
            self._write(junit_of_error(error))
            raise

    def tell(self, *sheets: GateSheet) -> None:
        """Say it everywhere where this process's surroundings want it said, with the weight that the exit code gives it."""
        from edgecnn.render.ci import annotation_lines, junit_of, summary_markdown
        from edgecnn.render.terminal import show_talk

        sheets = tuple(replace(sheet, unsure_passes=self._unsure_passes) for sheet in sheets)
        if self._junit is not None:
            self._write(junit_of(*sheets))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            show_talk(line for sheet in sheets for line in annotation_lines(sheet))
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            try:
                with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as stream:
                    stream.writelines(summary_markdown(sheet) for sheet in sheets)
            except OSError as error:  # the runner's file, not the user's: a verdict is not lost over it
                show_talk([f"edgecnn: no summary was written: {summary}: {system_reason(error)}"])

    def _ended(self, code: ExitCode) -> ExitCode:
        return ExitCode.OK if code is ExitCode.UNSURE and self._unsure_passes else code

    def _write(self, text: str) -> None:
        from edgecnn.store.disk import write_text_atomically

        path = Path(self._junit or "")
        try:
            write_text_atomically(path, text)
        except (OSError, ValueError) as error:
            reason = system_reason(error)
            raise ResultFileUnwritable(option="--junit", path=path, because=reason) from error
