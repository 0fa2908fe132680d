"""A board as a Host: input files are sent, the runner runs there under a lease, and results are fetched."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

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
from edgecnn.hosts.local import MACHINE, RACE, RESULT_BYTES, WAITING, require_sandboxable
from edgecnn.hosts.program import IgnoredProgress, MachineInfo, Program, parse_builder, parse_info, run_program, runner_failed
from edgecnn.hosts.protocol import SCHEDULE, Task
from edgecnn.hosts.sandbox import RESTRICT
from edgecnn.hosts.ssh.board import FOLDER, PYTHON, SILENCE_S, Board, encode_request
from edgecnn.hosts.ssh.files import Contents, Results
from edgecnn.hosts.ssh.link import Address, Link
from edgecnn.hosts.wire import Incoming, Tail, usable
from edgecnn.runner.packages import PATH_NOT_PASSED
from edgecnn.runner.runs.processes import KEPT_VARIABLES, kill_group
from edgecnn.store.failures import FULL_BELOW_BYTES
from edgecnn.values.device import EngineBuilder
from edgecnn.values.profile import Environment
from edgecnn.values.stage import Progress

LEASE_S = 30.0
"""A runner ends after this time without a sign of its link."""
LOCK = MACHINE
"""Lock of the process that measures there: one path for all users of a board."""
_ORPHAN_S = 45.0  # a runner without a link ends by its lease before that
_RACE_POLL_S = 20.0
"""Interval between two checks of the race lock, long enough not to disturb a race."""
_RUNNER = Path(__file__).resolve().parents[2] / "runner"
VARIABLES = {**{name: name for name in KEPT_VARIABLES}, "PYTHONPATH": PATH_NOT_PASSED}
"""Environment variables of the board that are passed to a runner, and their names in the runner."""
_FULL = ("Errno 28", "No space left on device", "Errno 122")


class _RaceRuns(Exception):
    """Raised when another race runs on the board."""


class _Lease(NamedTuple):
    """How a runner runs there."""

    seconds: float
    tell: Progress
    sandbox: Mapping[str, Any] | None = None
    """See ``far.run``; None: the kit was made here."""


class SshHost:
    """A board, locked for one user from ``open`` to ``close``. Use it as a context manager."""

    part_bytes: int | None = 64 * 1024 * 1024
    """Some seconds of a slow wireless link, which is the most that a lost connection costs."""

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
        """Lock the board at the other end of an open link. ``close`` closes the link too, and so does a failure to lock."""
        host = cls(Board(link, python=python, folder=folder), lock, what)
        try:
            host._begin()
        except BaseException:
            host.close()
            raise
        return host

    def close(self) -> None:
        """Unlock the board. This host's processes on the board end."""
        self._unlock()
        self.board.link.close()

    def __enter__(self) -> SshHost:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def clean(self) -> None:
        """Remove edgecnn's private folder from the board."""
        self.board.ask("clean")

    def identify(self) -> Environment:
        """Return the board's environment, as this edgecnn's runner reads it there."""
        return self._info().environment

    def runtime_version(self, runtime: str) -> str | None:
        """See ``Host.runtime_version``."""
        return self._info().runtimes.get(runtime)

    def engine_builder(self, package: str) -> EngineBuilder:
        """See ``Host.engine_builder``."""
        return parse_builder(self._ask_runner("info", "--builder", package), self.board.name)

    def recall(self, out: Path) -> None:
        """See ``Host.recall``."""
        results = Results(self.board, self.contents, out)
        if results.is_begun:
            self._reconnect()
            results.fetch()

    def run(self, task: Task, *, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """See ``Host.run``.

        Raises LINK_LOST: the connection was lost; finished results stay there, and the same task continues. BoardDiskFull:
        there is too little space for sent files or results.
        """
        if not task.made_here:
            require_sandboxable(task)
        self._reconnect()
        places = {kit: self.contents.make_folder(self.contents.files_in(kit), "kits") for kit in task.kits}
        digests = self.contents.send(task.inputs.values())
        places |= {path: f"{self.folder}/objects/{sha256[:2]}/{sha256}" for path, sha256 in digests.items()}
        results = None if task.out is None else Results(self.board, self.contents, task.out)
        if results is not None and task.out is not None:
            places[task.out] = results.send()
            if task.schedule is not None:
                places[task.out / SCHEDULE] = self._send_schedule(task.out, task.schedule.text(places.__getitem__))
        try:
            argv = ["--lease-s", str(LEASE_S), *task.argv(places.__getitem__)]
            sandbox = None if task.made_here else self._sandboxed_start(task, places)
            result = self._run_runner(places[task.kit], argv, task.command, _Lease(lease_s, tell, sandbox))
        except (RunnerFailed, RunnerCrashed, RunnerTimedOut, BoardDiskFull):
            if results is not None:
                results.fetch()
            raise
        if results is not None:
            results.fetch()
        return result

    def _sandboxed_start(self, task: Task, places: Mapping[Path, str]) -> Mapping[str, Any]:
        """Send ``restrict``, and return what the runner of a kit from elsewhere may use: the kits, its inputs and its results."""
        (sha256,) = self.contents.send([RESTRICT]).values()
        out = None if task.out is None else places[task.out]
        read = [path for path in places.values() if path != out]
        allowed: dict[str, Any] = {
            "read": read, "write": [] if out is None else [out], "packages": [], "memory_bytes": None, "cpu_s": None,
            "file_bytes": RESULT_BYTES, "largest_bytes": RESULT_BYTES, "children": True, "tells": True,
        }  # fmt: skip
        return {"program": f"{self.folder}/objects/{sha256[:2]}/{sha256}", "allowed": allowed}

    def _run_runner(self, place: str, argv: Sequence[str], doing: str, lease: _Lease) -> Mapping[str, Any]:
        """Run a runner there to its end. During a timed run, no other race runs on the board."""
        kit = "/".join(place.split("/")[-2:])
        race_lock = f"{self._lock}{RACE}"
        locks = [(race_lock, _RACE_POLL_S)] if doing == "bench" else []
        locks.append((f"{self._lock}.run", _ORPHAN_S))
        request = encode_request("run", kit=kit, argv=argv, locks=locks, variables=VARIABLES, sandbox=lease.sandbox)

        def failure(error: Mapping[str, Any]) -> EdgecnnError:
            if not error.get("far"):
                return runner_failed(error)
            if error.get("ref") == "board-busy" and error.get("lock") == race_lock:
                raise _RaceRuns
            return self.board.refusal_error(doing, error)

        command, beat_s = self.board.command(), LEASE_S / 6
        program = Program(command, (doing,), opening=request, beat_s=beat_s, failure=failure, board=self.board.name)
        try:
            return self._run_when_alone(program, lease.seconds, lease.tell)
        except RunnerFailed as error:
            raise self._with_disk_checked(error) from error
        except (RunnerCrashed, RunnerTimedOut) as error:
            if self.board.link.is_lost():
                raise link_lost(board=self.board.name, doing=doing) from error
            raise self._with_disk_checked(error) from error

    def _run_when_alone(self, program: Program, lease_s: float, tell: Progress) -> Mapping[str, Any]:
        """Run the program when no other race runs there. A race that is started on the board itself waits too."""
        announced = False
        while True:
            try:
                return run_program(program, lease_s=lease_s, tell=tell)
            except _RaceRuns:
                if not announced:
                    tell.note(WAITING.format(self.board.name))
                announced = True

    def _with_disk_checked(self, error: RunnerFailed | RunnerCrashed | RunnerTimedOut) -> EdgecnnError:
        """Return the error, or an error of the board if its disk is full or fails: a full disk has many error texts."""
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
        """Path of the private folder on the board."""
        return str(self.board.about["folder"])

    def _info(self) -> MachineInfo:
        if self._about is None:
            self._about = parse_info(self._ask_runner("info"), self.board.name)
        return self._about

    def _ask_runner(self, *words: str) -> Mapping[str, Any]:
        """Run a command of this edgecnn's runner there, without a kit."""
        self._reconnect()
        files = {f"runner/{name}": path for name, path in self.contents.files_in(_RUNNER).items()}
        argv = ["--lease-s", str(LEASE_S), *words]
        return self._run_runner(self.contents.make_folder(files, "kits"), argv, words[0], _Lease(LEASE_S * 4, IgnoredProgress()))

    def _begin(self) -> None:
        self.board.hello()
        self._lock_board()

    def _reconnect(self) -> None:
        """Open a lost link again: training may take hours between two runs of kits."""
        if self.board.link.alive:
            return
        self._unlock()
        self.board.link.close()
        self.board.relink(Link.open(self.board.link.address))
        self._begin()

    def _unlock(self) -> None:
        if self._holder is not None:
            kill_group(self._holder)
            self._holder = None

    def _lock_board(self) -> None:
        holder = self._holder = self.board.start("hold", lock=self._lock, what=self._what)
        assert holder.stdout is not None and holder.stderr is not None
        incoming, stderr = Incoming(holder.stdout), Tail(holder.stderr)
        with usable(self.board.name, "hold"):
            while (line := incoming.read_line(SILENCE_S)) and b'"ok"' not in line:
                continue
        if line is None:
            raise link_lost(board=self.board.name, doing="hold", because=f"no answer in {SILENCE_S:g} s")
        self.board.parse_answer("hold", line, "" if line else stderr.text)
