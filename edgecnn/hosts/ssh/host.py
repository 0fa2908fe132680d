"""A board as a Host: input files are sent, the runner runs there under a lease, and results are fetched."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import (
    BoardDiskFull,
    RunnerCannotWrite,
    RunnerCrashed,
    RunnerFailed,
    RunnerTimedOut,
    board_disk_full,
    board_failed,
    link_lost,
)
from edgecnn.hosts.local import MACHINE, RACE, WAITING
from edgecnn.hosts.program import MachineInfo, Program, Unheard, builder_in, info_in, run_program, runner_failed
from edgecnn.hosts.protocol import SCHEDULE, Task
from edgecnn.hosts.ssh.board import FOLDER, PYTHON, SILENCE_S, Board, opening
from edgecnn.hosts.ssh.files import Contents, Results
from edgecnn.hosts.ssh.link import Address, Link
from edgecnn.hosts.wire import Incoming, Tail, usable
from edgecnn.runner.packages import PATH_NOT_PASSED
from edgecnn.runner.runs.schedule import KEPT_VARIABLES, kill_group
from edgecnn.store.failures import FULL_BELOW_BYTES
from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress

LEASE_S = 30.0
"""A runner ends after this time without a sign of its link."""
LOCK = MACHINE
"""Lock of the process that measures there: one path for all users of a board."""
_ORPHAN_S = 45.0  # a runner without a link ends by its lease before that
_AGAIN_S = 20.0
"""Interval between two checks of the race lock, long enough not to disturb a race."""
_RUNNER = Path(__file__).resolve().parents[2] / "runner"
VARIABLES = {**{name: name for name in KEPT_VARIABLES}, "PYTHONPATH": PATH_NOT_PASSED}
"""Environment variables of the board that a runner gets, with the names that it gets them by."""
_FULL = ("Errno 28", "No space left on device", "Errno 122")


class _RacedThere(Exception):
    """Another race runs on the board now."""


class SshHost:
    """A board, locked for one user from ``open`` to ``close``; to be used as a context."""

    part_bytes: int | None = 64 * 1024 * 1024
    """Some seconds of a slow wireless link, which is the most that a cut costs."""

    def __init__(self, board: Board, lock: str, what: str) -> None:
        self.board = board
        self.contents = Contents(board)
        self._lock, self._what = lock, what
        self._holder: subprocess.Popen[bytes] | None = None
        self._about: MachineInfo | None = None

    @classmethod
    def open(cls, address: Address, *, what: str, python: str = PYTHON, folder: str = FOLDER, lock: str = LOCK) -> SshHost:
        """Connect to the board and lock it. Raises EdgecnnError: an error of ``errors.hosts``."""
        return cls.over(Link.open(address), what=what, python=python, folder=folder, lock=lock)

    @classmethod
    def over(cls, link: Link, *, what: str, python: str = PYTHON, folder: str = FOLDER, lock: str = LOCK) -> SshHost:
        """Lock the board at the other end of an open link. The link is closed at the end, or at once if the lock fails."""
        host = cls(Board(link, python=python, folder=folder), lock, what)
        try:
            host._begin()
        except BaseException:
            host.close()
            raise
        return host

    def close(self) -> None:
        """Unlock the board. Its processes of this host end."""
        self._let_go()
        self.board.link.close()

    def __enter__(self) -> SshHost:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def clean(self) -> None:
        """Remove edgecnn's private folder from the board."""
        self.board.ask("clean")

    def identify(self) -> Environment:
        """The board's environment, as this edgecnn's runner reads it there."""
        return self._info().environment

    def runtime_version(self, runtime: str) -> str | None:
        """See ``Host.runtime_version``."""
        return self._info().runtimes.get(runtime)

    def engine_builder(self, package: str) -> EngineBuilder:
        """See ``Host.engine_builder``."""
        return builder_in(self._ask_runner("info", "--builder", package), self.board.name)

    def recall(self, out: Path) -> None:
        """See ``Host.recall``."""
        results = Results(self.board, self.contents, out)
        if results.begun:
            self._connected()
            results.take()

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """See ``Host.run``.

        Raises LINK_LOST: the connection was lost; finished results stay there, and the same task continues. BoardDiskFull:
        there is too little space for sent files or results.
        """
        self._connected()
        places = {kit: self.contents.folder(self.contents.files_in(kit), "kits") for kit in task.kits}
        digests = self.contents.send(task.inputs.values())
        places |= {path: f"{self.folder}/objects/{sha256[:2]}/{sha256}" for path, sha256 in digests.items()}
        results = None if task.out is None else Results(self.board, self.contents, task.out)
        if results is not None and task.out is not None:
            places[task.out] = results.give()
            if task.schedule is not None:
                places[task.out / SCHEDULE] = self._send_schedule(task.out, task.schedule.text(places.__getitem__))
        try:
            argv = ["--lease-s", str(LEASE_S), *task.argv(places.__getitem__)]
            result = self._program(places[task.kit], argv, task.command, lease_s, tell)
        except (RunnerFailed, RunnerCrashed, RunnerTimedOut, BoardDiskFull):
            if results is not None:
                results.take()
            raise
        if results is not None:
            results.take()
        return result

    # -----------------------------------------------------------------------------------------------------------------

    def _program(self, place: str, argv: Sequence[str], doing: str, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """Run a runner there to its end. A timed run has the board alone, like a race that is started on the board itself."""
        kit = "/".join(place.split("/")[-2:])
        locks = [(self._race_lock, _AGAIN_S)] if doing == "bench" else []
        locks.append((f"{self._lock}.run", _ORPHAN_S))
        request = opening("run", kit=kit, argv=argv, locks=locks, variables=VARIABLES)
        words, failure = self.board.words(), self._failure(doing)
        beat_s = LEASE_S / 6
        program = Program(words, (doing,), opening=request, beat_s=beat_s, failure=failure, board=self.board.name)
        try:
            return self._when_alone(program, lease_s, tell)
        except RunnerFailed as error:
            raise self._judged(error) from error
        except (RunnerCrashed, RunnerTimedOut) as error:
            if self.board.link.ended():
                raise link_lost(board=self.board.name, doing=doing) from error
            raise self._judged(error) from error

    def _when_alone(self, program: Program, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """Run the program when no other race runs there; a race that is started on the board waits for this one too."""
        announced = False
        while True:
            try:
                return run_program(program, lease_s=lease_s, tell=tell)
            except _RacedThere:
                if not announced:
                    tell.note(WAITING.format(self.board.name))
                announced = True

    @property
    def _race_lock(self) -> str:
        return f"{self._lock}{RACE}"

    def _failure(self, doing: str) -> Callable[[Mapping[str, Any]], EdgecnnError]:
        """Make an error from that of the runner or of ``far.py``."""

        def failure(error: Mapping[str, Any]) -> EdgecnnError:
            if error.get("far") and error.get("ref") == "board-busy" and error.get("lock") == self._race_lock:
                raise _RacedThere
            return self.board.failure(doing, error) if error.get("far") else runner_failed(error)

        return failure

    def _judged(self, error: RunnerFailed | RunnerCrashed | RunnerTimedOut) -> EdgecnnError:
        """A full disk has many error texts, and a failing one is the board's fault, not a kit's."""
        unwritten = isinstance(error, RunnerCannotWrite)
        if not unwritten and not any(word in f"{error.what} {error.because}" for word in _FULL):
            return error
        free = int(self.board.ask("have", sha256=[])["free_bytes"])
        if unwritten and free > FULL_BELOW_BYTES:
            return board_failed(board=self.board.name, doing="writing", lines=["the runner cannot write, although space is free"])
        return board_disk_full(board=self.board.name, folder=self.board.folder, needed_bytes=None, free_bytes=free)

    def _send_schedule(self, out: Path, text: str) -> str:
        """Send a schedule with the kit paths of the board, which differs from the file here."""
        path = out / f"{SCHEDULE}.sent.partial"
        path.write_text(text, encoding="utf-8")
        try:
            (sha256,) = self.contents.send([path]).values()
        finally:
            path.unlink()
        return f"{self.folder}/objects/{sha256[:2]}/{sha256}"

    @property
    def folder(self) -> str:
        """The private folder's path there."""
        return str(self.board.about["folder"])

    def _info(self) -> MachineInfo:
        if self._about is None:
            self._about = info_in(self._ask_runner("info"), self.board.name)
        return self._about

    def _ask_runner(self, *words: str) -> Mapping[str, Any]:
        """Run a command of this edgecnn's runner there, without a kit."""
        self._connected()
        files = {f"runner/{name}": path for name, path in self.contents.files_in(_RUNNER).items()}
        argv = ["--lease-s", str(LEASE_S), *words]
        return self._program(self.contents.folder(files, "kits"), argv, words[0], LEASE_S * 4, Unheard())

    def _begin(self) -> None:
        self.board.hello()
        self._hold()

    def _connected(self) -> None:
        """Open a lost link again: training may take hours between two runs of kits."""
        if self.board.link.alive:
            return
        self._let_go()
        self.board.link.close()
        self.board.relink(Link.open(self.board.link.address))
        self._begin()

    def _let_go(self) -> None:
        if self._holder is not None:
            kill_group(self._holder)
            self._holder = None

    def _hold(self) -> None:
        holder = self._holder = self.board.start("hold", lock=self._lock, what=self._what)
        assert holder.stdout is not None and holder.stderr is not None
        incoming, stderr = Incoming(holder.stdout), Tail(holder.stderr)
        with usable(self.board.name, "hold"):
            while (line := incoming.line(SILENCE_S)) and b'"ok"' not in line:
                continue
        if line is None:
            raise link_lost(board=self.board.name, doing="hold", because=f"no answer in {SILENCE_S:g} s")
        self.board.answer("hold", line, "" if line else stderr.text)
