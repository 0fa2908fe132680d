"""A process in the sandbox reads, writes and reaches nothing outside, and its end is an error of one call."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.hosts import restrict
from edgecnn.hosts.sandbox import Allowed, Crashed, Sandbox, TimedOut, confinement, memory_limit
from edgecnn.values.sandbox import Confinement

needs_landlock = pytest.mark.skipif(
    confinement().unrestricted != (), reason=f"this kernel does not restrict {', '.join(confinement().unrestricted)}"
)
HERE = "tests.hosts.test_sandbox"


def attempt(action: str, path: str = "", port: int = 0) -> str:
    """What a stranger's native code would try; the class of the error that stops it, or an empty text. Runs in the sandbox."""
    actions: dict[str, Any] = {
        "read": lambda: Path(path).read_bytes(),
        "list": lambda: list(Path(path).iterdir()),
        "write": lambda: Path(path).write_bytes(b"changed"),
        "append": lambda: os.close(os.open(path, os.O_APPEND | os.O_WRONLY)),
        "empty": lambda: os.truncate(path, 0),
        "remove": lambda: Path(path).unlink(),
        "rename": lambda: Path(path).rename(f"{path}.moved"),
        "chmod": lambda: Path(path).chmod(0o777),
        "utime": lambda: os.utime(path),
        "link": lambda: os.link(path, "linked"),
        "symlink": lambda: Path("symbolic").symlink_to(path),
        "pipe": lambda: os.mkfifo("pipe"),
        "tcp": lambda: socket.create_connection(("127.0.0.1", port), timeout=5),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "unix": lambda: socket.socket(socket.AF_UNIX),
        "signal": lambda: os.kill(os.getppid(), 0),
        "variables of the parent": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
        "memory": lambda: bytearray(int(path)),
        "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        "sleep": lambda: threading.Event().wait(60),
        "large file": lambda: Path("large").write_bytes(bytes(2 << 20)),
        "leave": lambda: os._exit(3),
    }
    try:
        actions[action]()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return ""


def call(action: str, sandbox: Sandbox, **arguments: Any) -> Any:
    return sandbox.call(f"{HERE}:attempt", {"action": action, **arguments}, limit_s=60)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder that may be read, and one outside with a canary."""
    inside, outside = tmp_path_factory.mktemp("inside"), tmp_path_factory.mktemp("outside")
    (inside / "model").write_bytes(b"model")
    (outside / "canary").write_bytes(b"canary")
    return inside, outside


@pytest.fixture(scope="module")
def sandbox(folders: tuple[Path, Path]) -> Any:
    with Sandbox(Allowed(read=(folders[0], Path(__file__).parents[2]), memory_bytes=1 << 30)) as opened:
        yield opened


@needs_landlock
@pytest.mark.parametrize("action", ["write", "append", "empty", "remove", "rename", "chmod", "utime", "link", "symlink"])
def test_nothing_outside_is_changed(action: str, folders: tuple[Path, Path], sandbox: Sandbox) -> None:
    canary = folders[1] / "canary"
    before = canary.stat()
    assert call(action, sandbox, path=str(canary)) in ("PermissionError", "OSError")
    after = canary.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_nlink) == (before.st_mode, before.st_mtime_ns, before.st_nlink)
    assert canary.read_bytes() == b"canary" and [path.name for path in folders[1].iterdir()] == ["canary"]


@needs_landlock
@pytest.mark.parametrize("action", ["read", "list"])
def test_only_what_is_allowed_is_read(action: str, folders: tuple[Path, Path], sandbox: Sandbox) -> None:
    name = {"read": "model", "list": ""}[action]
    assert call(action, sandbox, path=str(folders[0] / name)) == ""
    assert call(action, sandbox, path=str(folders[1] / name.replace("model", "canary"))) == "PermissionError"
    assert call("write", sandbox, path=str(folders[0] / "model")) == "PermissionError", "it may only be read"


@needs_landlock
@pytest.mark.parametrize("action", ["tcp", "udp", "unix"])
def test_no_connection_is_opened(action: str, sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert call(action, sandbox, port=server.getsockname()[1]) == "PermissionError"
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


@needs_landlock
@pytest.mark.parametrize("action", ["signal", "variables of the parent", "pipe"])
def test_other_processes_are_not_reached_and_no_trap_is_left_behind(action: str, sandbox: Sandbox) -> None:
    assert call(action, sandbox) == "PermissionError"


def test_memory_is_bounded(sandbox: Sandbox) -> None:
    assert call("memory", sandbox, path=str(2 << 30)) == "MemoryError"


@pytest.mark.parametrize(("action", "code"), [("crash", -signal.SIGSEGV), ("leave", 3), ("large file", -signal.SIGXFSZ)])
def test_the_end_of_the_process_is_an_error_of_the_call(action: str, code: int, folders: tuple[Path, Path]) -> None:
    with Sandbox(Allowed(read=(folders[0], Path(__file__).parents[2]), file_bytes=1 << 20)) as opened:
        with pytest.raises(Crashed) as crashed:
            call(action, opened)
        assert crashed.value.code == code and opened.ended


def test_a_call_that_never_ends_is_ended(folders: tuple[Path, Path]) -> None:
    with Sandbox(Allowed(read=(folders[0], Path(__file__).parents[2]))) as opened:
        call("list", opened, path=str(folders[0]))
        with pytest.raises(TimedOut):
            opened.call(f"{HERE}:attempt", {"action": "sleep"}, limit_s=1)
        assert opened.ended


def answer_oddly(text: str) -> Any:
    """What code in the sandbox may make of the answer: it can write to the pipe itself."""
    os.write(3, b"")
    return text


def test_an_error_of_edgecnn_keeps_its_reference(folders: tuple[Path, Path]) -> None:
    with Sandbox(Allowed(read=(folders[0],))) as opened, pytest.raises(EdgecnnError) as refused:
        opened.call("edgecnn.data.images:read_list", {"kind": None, "path": str(folders[0] / "absent")}, limit_s=60)
    assert refused.value.ref in ("unknown-failure", "manifest-unreadable")


@pytest.mark.parametrize(
    ("abi", "unrestricted"),
    [(0, ["files", "signals"]), (1, ["truncation", "signals"]), (3, ["signals"]), (5, ["signals"]), (6, []), (7, [])],
)
def test_what_an_older_kernel_does_not_restrict_is_stated(abi: int, unrestricted: list[str]) -> None:
    stated = restrict.unrestricted(abi)
    assert [name for name in stated if name != "network"] == unrestricted


def test_the_fact_is_published_as_it_is() -> None:
    fact = confinement()
    assert Confinement.model_validate_json(fact.model_dump_json()) == fact
    assert set(confinement(sandboxed=False).unrestricted) == {"files", "network", "signals", "limits"}
    assert memory_limit(0) >= 3 << 29


@needs_landlock
def test_a_program_of_another_python_starts_in_it_too(tmp_path: Path) -> None:
    """As on a board, by the path of the file."""
    import subprocess

    limits = {"memory_bytes": None, "cpu_s": None, "file_bytes": 1 << 20, "largest_bytes": 1 << 20, "children": True}
    request = json.dumps({"read": [], "write": [str(tmp_path)], "packages": [], **limits})
    program = "import os; open('made', 'w'); os.listdir('/etc')"
    command = [sys.executable, restrict.__file__, request, sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (tmp_path / "made").exists()
    assert "PermissionError" in ended.stderr and ended.returncode == 1
