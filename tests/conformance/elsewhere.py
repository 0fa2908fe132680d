"""A session in the Python that runs its kit: this one's sessions are as they are, another's live in a process of it.

What a test asks of either is the same, errors included.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.runner.failure import RunnerError
from edgecnn.runner.feeds import TensorSpec
from edgecnn.runner.interpreters import python_of
from edgecnn.runner.kit import Kit
from edgecnn.runner.runs.schedule import clean_environment
from edgecnn.runner.sessions import Session
from edgecnn.runner.sessions import open_session as open_here

SERVER = """
import os, pickle, sys
said = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what a runtime prints is no answer
from pathlib import Path
from runner.failure import RunnerError
from runner.kit import Kit
from runner.sessions import open_session
session = None
while True:
    name, given = pickle.load(sys.stdin.buffer)
    try:
        if name == "open":
            knobs, batch, trace = given
            session = open_session(Kit.open(Path(".")), knobs, batch, trace and Path(trace))
            answer = session.threads
        elif name == "inputs":
            answer = [tuple(each) for each in session.inputs()]
        elif name == "run":
            answer = session.run(given)
        else:
            answer = session.close()
        found = (answer, None)
    except RunnerError as error:
        found = (None, error.facts())
    pickle.dump(found, said)
    said.flush()
    if name == "close":
        break
"""


class ElsewhereSession(Session):
    """Asks a process of the kit's own Python."""

    def __init__(self, kit: Kit, python: str, given: tuple[Any, ...]) -> None:
        self._process = subprocess.Popen(
            [python, "-c", SERVER],
            cwd=kit.folder,
            env=clean_environment(kit.folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            self.threads = self._asked("open", given)
        except RunnerError:
            self._end()
            raise

    def inputs(self) -> Sequence[TensorSpec]:
        return [TensorSpec(*each) for each in self._asked("inputs", None)]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._asked("run", dict(feed))
        return answer

    def close(self) -> None:
        self._asked("close", None)
        self._end()

    def _asked(self, name: str, given: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        pickle.dump((name, given), self._process.stdin)
        self._process.stdin.flush()
        answer, error = pickle.load(self._process.stdout)
        if error is not None:
            raise RunnerError(**error)
        return answer

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()


def open_session(
    kit: Kit, knobs: Mapping[str, str] | None = None, batch: int | None = None, trace_folder: Path | None = None
) -> Session:
    """As the runner's own ``open_session``."""
    python = python_of(kit.folder)
    if python == sys.executable:
        return open_here(kit, knobs, batch, trace_folder)
    return ElsewhereSession(kit, python, (knobs, batch, None if trace_folder is None else str(trace_folder)))
