"""The one place that starts a sandboxed process: for kits, models, weights, archives and images from elsewhere.

``restrict`` states what a sandbox restricts. A crash, an endless loop or excessive memory ends the process and becomes an error.
Its answers are not trusted: they are bounded, and its caller validates them.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from edgecnn.errors.base import EdgecnnError, error_again
from edgecnn.errors.hosts import OWN_ANSWER_UNUSABLE, runner_not_started
from edgecnn.errors.store import TEMPORARY_FOLDER_FULL
from edgecnn.hosts import restrict
from edgecnn.hosts.program import package_environment
from edgecnn.hosts.wire import POLL_S, Incoming, Line, Silence, Unusable, last_lines, parse_json
from edgecnn.runner.machine.procfs import ROOT, read_limits
from edgecnn.runner.packages import runs_on_gpu
from edgecnn.runner.runs.processes import kill_group
from edgecnn.store.failures import full_temporary_folder, temporary_folder_errors
from edgecnn.values.sandbox import Confinement, Restriction
from edgecnn.values.stage import Progress

MEMORY_BYTES: Final = 3 << 29
"""1.5 GiB, of which torch and the smallest file take 0.9, plus ten times the file with its external weights. These are held as in
the file, in the runtime, and as the trunk. Half of the memory is allowed if that is more."""
WRITTEN_BYTES: Final = 16 << 20
"""Limit of each file, also of the output that is kept for errors. A warning for each of 50,000 operators takes 10 MB."""
CORES: Final = 4
"""Cores whose time a call may use: its limit of processor time is its limit of time on each of them."""
RESTRICT: Final = Path(restrict.__file__)
_START: Final = "import sys; sys.path[0] = sys.argv.pop(1); import restrict; restrict.main()"
"""Starts ``restrict`` from its compiled form, unlike its path."""
_LEFT_OUT: Final = ("HOME", "TMPDIR", "XDG_CACHE_HOME")
_LAST_LINES: Final = 3
_TAIL_BYTES: Final = 10_000
_ENDING_S: Final = 10.0
"""Time that Python may take to end after it closed its output."""
_ANSWERS_BYTES: Final = 1 << 40
"""Limit of all answers of a process, which may serve for years. Each answer is limited too."""


@dataclass(frozen=True)
class Allowed:
    """What a sandboxed process may use in addition to Python, its packages and the system's libraries."""

    read: tuple[Path, ...]
    """Files, and folders with everything below them."""
    write: tuple[Path, ...] = ()
    """Folders in which files may be made and changed. A private folder for temporary files is always added."""
    memory_bytes: int | None = None
    """None: see ``memory_limit`` of the readable files."""
    cpu_s: float | None = None
    limit_s: float = 1800.0
    """Time-out of ``call_sandboxed``."""
    file_bytes: int = WRITTEN_BYTES
    largest_bytes: int = 0
    """Largest file if the process raises its own limit; 0: it cannot."""
    children: bool = False
    """Whether it starts other processes, as a runner does."""
    sandboxed: bool = True
    """False: of a kit that the user trusts and that cannot run in a sandbox, see ``needs_of``."""

    def request(self) -> str:
        """Return the request to ``restrict``."""
        memory = self.memory_bytes or memory_limit(sum(_bytes_in(path) for path in self.read))
        paths = {"read": [os.path.realpath(path) for path in self.read], "write": [os.path.realpath(path) for path in self.write]}
        limits = {"memory_bytes": memory, "cpu_s": self.cpu_s and int(self.cpu_s) + 1, "file_bytes": self.file_bytes}
        limits["largest_bytes"] = max(self.file_bytes, self.largest_bytes)
        return json.dumps({**paths, **limits, "children": self.children, "packages": _own_packages()})


def needs_of(module: str) -> str | None:
    """Return what a session of this module needs that no sandbox has, or None.

    The driver of a GPU is code of the kernel that opens devices and shares memory. A browser starts many programs that connect to
    each other, and has a sandbox of its own for pages.
    """
    return "a browser" if module.endswith("_browser") else "a GPU" if runs_on_gpu(module) else None


def confinement(*, sandboxed: bool = True) -> Confinement:
    """Return what a sandbox restricts on this machine. ``sandboxed``: False for a process without one."""
    abi = restrict.landlock_abi()
    missing = restrict.unrestricted(abi) if sandboxed else [name for name in get_args(Restriction) if name != "truncation"]
    return Confinement.model_validate({"landlock": abi, "unrestricted": missing})


def sandboxed_words(python: str, allowed: Allowed, words: Sequence[str]) -> tuple[str, ...]:
    """Return the command that runs ``python WORDS`` in a sandbox. ``words``: ``-m``, a module and its arguments."""
    if not allowed.sandboxed:
        return (python, *words)
    return (python, "-c", _START, str(RESTRICT.parent), allowed.request(), *words)


@contextmanager
def scratch_folder(allowed: Allowed, environment: Mapping[str, str]) -> Iterator[tuple[Allowed, dict[str, str]]]:
    """Yield the same permissions and variables with a private folder for temporary files, which is also the home folder.

    The folder is removed when the block ends. Raises TemporaryFolderFull: see ``temporary_folder_errors``.
    """
    with temporary_folder_errors("starting a sandboxed process"), tempfile.TemporaryDirectory(prefix="edgecnn-sandbox-") as name:
        variables = {**environment, **dict.fromkeys(_LEFT_OUT, name), "USER": "edgecnn"}
        yield replace(allowed, write=(*allowed.write, Path(name))), variables


def memory_limit(held: int, root: Path = ROOT) -> int:
    """Return the memory limit of files of this size, from the computer's memory or a container's share of it."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit_mib = read_limits(root).memory_mib
    whole = physical if limit_mib is None else min(physical, limit_mib << 20)
    return max(MEMORY_BYTES, min(MEMORY_BYTES + 10 * held, whole), whole // 2)


def _own_packages() -> list[str]:
    """Return the folders of packages that the user added to Python's path."""
    return [os.path.realpath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]


def _own_environment() -> dict[str, str]:
    """Return the variables of a process of edgecnn, with the user's packages after this package."""
    environment = package_environment()
    paths = [environment.get("PYTHONPATH", ""), *_own_packages()]
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _bytes_in(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size if path.is_file() else 0
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file() and not entry.is_symlink())


class Crashed(Exception):
    """A sandboxed process ended without an answer."""

    def __init__(self, code: int, lines: Sequence[str], *, begun: bool) -> None:
        """``begun``: whether it had begun to answer, so that the end is not one of Python's start."""
        self.code, self.lines, self.begun = code, tuple(lines), begun
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """How it ended, such as ``signal 11 (SIGSEGV)``, with its last line if it ended by itself."""
        if self.code < 0:
            with suppress(ValueError):
                return f"signal {-self.code} ({signal.Signals(-self.code).name})"
            return f"signal {-self.code}"
        return f"exit status {self.code}" + (f", which printed: {self.lines[-1]}" if self.lines else "")


class TimedOut(Exception):
    """A sandboxed call took longer than its limit."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        super().__init__(f"it took more than {limit_s:g} s")


class _Call(NamedTuple):
    """One request to a sandboxed process."""

    request: Mapping[str, Any]
    content: bytes
    limit_s: float
    most_bytes: int = 0
    """Limit of the bytes after the answer."""


class Sandbox:
    """A process of edgecnn that calls functions in a sandbox. It ends with the block, and after a failed call.

    ``cores``: number of cores that the process may use; None: all.
    """

    def __init__(self, allowed: Allowed, *, cores: int | None = None) -> None:
        self._allowed, self._cores = allowed, cores
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = False

    def __enter__(self) -> Sandbox:
        self._scratch = scratch_folder(self._allowed, _own_environment())
        allowed, environment = self._scratch.__enter__()
        words = ("-m", "edgecnn.hosts.called", str(self._cores or 0))
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - a file, so that the limit of files applies
        try:
            self._process = subprocess.Popen(
                sandboxed_words(sys.executable, allowed, words),
                cwd=allowed.write[-1],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                start_new_session=True,
            )
        except OSError as error:
            self._stderr.close()
            self._scratch.__exit__(None, None, None)
            raise runner_not_started(folder="a sandboxed process", why=error) from error
        assert self._process.stdout is not None
        self._incoming = Incoming(self._process.stdout, _ANSWERS_BYTES)
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            kill_group(process)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
        self._stderr.close()
        self._scratch.__exit__(None, None, None)

    @property
    def ended(self) -> bool:
        """Whether the process has ended, so that every further call fails."""
        return self._process is None or self._process.poll() is not None

    def call(
        self, function: str, arguments: Mapping[str, Any], *, limit_s: float, content: bytes = b"", tell: Progress | None = None
    ) -> Any:
        """Call a function with arguments of JSON, and return its result as JSON.

        Args:
            function: ``module:name``.
            arguments: by name.
            limit_s: seconds, after which the process is killed.
            content: bytes that the function receives as ``content``, if there are any.
            tell: receives the function's progress; it takes ``tell`` then.

        Raises:
            EdgecnnError: raised by the function.
            Crashed, TimedOut: the process ended.
            OWN_ANSWER_UNUSABLE: its answer is invalid.
        """
        request = {"function": function, "arguments": arguments, "tells": tell is not None, "returns_content": False}
        return self._call(_Call(request, content, limit_s), tell)[0]

    def call_for_content(
        self, function: str, arguments: Mapping[str, Any], *, limit_s: float, content: bytes, most_bytes: int
    ) -> tuple[Any, bytes]:
        """Call a function that returns a pair of a JSON value and bytes, at most ``most_bytes``. See ``call``."""
        request = {"function": function, "arguments": arguments, "tells": False, "returns_content": True}
        return self._call(_Call(request, content, limit_s, most_bytes), None)

    def _call(self, call: _Call, tell: Progress | None) -> tuple[Any, bytes]:
        until = time.monotonic() + call.limit_s
        try:
            self._send(json.dumps({**call.request, "bytes": len(call.content)}).encode() + b"\n" + call.content, until)
            answer = self._answer(until, tell)
            content = self._content(int(answer.get("bytes", 0)), call.most_bytes, until)
            if answer.get("ok"):
                return answer.get("value"), content
            if answer.get("disk"):
                number, reason, file = answer["disk"]
                raise OSError(int(number), str(reason), file and str(file))
            error = error_again({name: value if value is None else str(value) for name, value in dict(answer["error"]).items()})
        except TimeoutError as late:
            assert self._process is not None
            kill_group(self._process)
            raise TimedOut(call.limit_s) from late
        except (Unusable, KeyError, TypeError, ValueError, LookupError) as problem:
            doing = str(call.request["function"]).rpartition(":")[2]
            raise OWN_ANSWER_UNUSABLE(doing=doing, because=str(problem)) from problem
        if error.ref == TEMPORARY_FOLDER_FULL.ref:  # it names the private folder, which is inside the usual one
            raise full_temporary_folder("reading a file in a sandbox")
        raise error

    def _send(self, data: bytes, until: float) -> None:
        """Write without waiting for ever: the process may have stopped to read. Raises TimeoutError."""
        assert self._process is not None and self._process.stdin is not None
        descriptor, rest = self._process.stdin.fileno(), memoryview(data)
        os.set_blocking(descriptor, False)
        writable = select.poll()
        writable.register(descriptor, select.POLLOUT)
        while rest:
            if not writable.poll(1000 * max(0.0, until - time.monotonic())):
                raise TimeoutError
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                continue
            except OSError:  # it has ended, which the answer reports
                return

    def _content(self, count: int, most: int, until: float) -> bytes:
        """Return the bytes after an answer. Raises TimeoutError, Unusable."""
        if not 0 <= count <= most:
            raise Unusable(f"it has {count:,} bytes, and at most {most:,} are allowed")
        try:
            return b"".join(self._incoming.read_exactly(count, max(0.0, until - time.monotonic())))
        except Silence as late:
            raise TimeoutError from late
        except EOFError as error:
            raise Unusable(str(error)) from error

    def _answer(self, until: float, tell: Progress | None) -> Mapping[str, Any]:
        assert self._process is not None
        while True:
            line = self._incoming.read_line(POLL_S)
            if line == b"":
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_ENDING_S)
                kill_group(self._process)
                raise Crashed(self._process.returncode, self._last_lines(), begun=self._begun)
            if line is not None:
                value = parse_json(line)
                self._begun = True
                if "ok" in value:
                    return dict(value)
                if tell is not None and (parsed := Line.of(line)) is not None:
                    _pass_on(parsed[0], tell)
            if time.monotonic() > until:
                raise TimeoutError

    def _last_lines(self) -> list[str]:
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - _TAIL_BYTES))
        return last_lines(self._stderr.read().decode("utf-8", "replace"), _LAST_LINES)


def _pass_on(message: Line, tell: Progress) -> None:
    if (step := message.progress) is not None:
        tell.step(step.what, step.done, step.total, step.unit)
    elif message.note is not None:
        tell.note(message.note)


def call_sandboxed(
    function: str,
    arguments: Mapping[str, Any],
    allowed: Allowed,
    fault: Callable[[str], EdgecnnError],
    tell: Progress | None = None,
) -> Any:
    """Call one function in a sandbox of its own. See ``Sandbox.call``.

    ``fault``: makes the error if the process crashes or takes too long, from the reason.
    """
    with Sandbox(replace(allowed, cpu_s=allowed.limit_s * CORES), cores=CORES) as sandbox:
        try:
            return sandbox.call(function, arguments, limit_s=allowed.limit_s, tell=tell)
        except (Crashed, TimedOut) as error:
            raise fault(str(error)) from error
