"""edgecnn's command line in a process of its own, forked from one that has imported already what builds import.

A process that imports pydantic, torch and the runtimes anew costs a second for a word that is refused and five for a build;
tests start many hundreds. What is forked has a memory, streams, a folder and an environment of its own, as a new process has;
what it lacks is the import, so tests that look at imports, at signals or at the terminal start ``python -m edgecnn`` instead.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

IMPORTED = ("numpy", "PIL.Image", "onnx", "onnxruntime", "openvino", "nncf", "torch", "torchvision", "safetensors.torch")
"""And every module of edgecnn's that imports without the extras that tests may lack."""
APART = ("edgecnn.__main__", "edgecnn.runner.__main__")


def edgecnn(words: Sequence[str], *, env: Mapping[str, str], cwd: Path | str | None = None) -> subprocess.CompletedProcess[str]:
    """What ``python -m edgecnn`` with these words prints and ends with.

    Args:
        words: after ``edgecnn``.
        env: the whole environment of the process; one that tells Python itself something starts a new one.
        cwd: its folder; this process's own unless given.
    """
    command = [sys.executable, "-m", "edgecnn", *words]
    told = {name for name in {*env, *os.environ} if name.startswith(("PYTHON", "OMP_", "MKL_", "LD_"))} - {"OMP_WAIT_POLICY"}
    if sys.platform != "linux" or any(env.get(name) != os.environ.get(name) for name in told):
        return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, socket.socket(socket.AF_UNIX) as line:
        line.connect(_server())
        asked = json.dumps({"words": list(words), "env": dict(env), "cwd": str(cwd or Path.cwd())}).encode()
        socket.send_fds(line, [len(asked).to_bytes(8)], [out.fileno(), err.fileno()])
        line.sendall(asked)
        status = int(line.makefile().readline())
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, status, out.read().decode(), err.read().decode())


@cache
def _server() -> str:
    """Address of this process's own server, which ends with it."""
    folder = tempfile.mkdtemp(prefix="edgecnn-warm-")
    address = f"{folder}/line"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", address],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdout.readline() == b"listening\n"
    atexit.register(_end, process, folder)
    return address


def _end(process: subprocess.Popen[bytes], folder: str) -> None:
    process.kill()
    process.wait()
    for path in (Path(folder) / "line", Path(folder)):
        path.unlink() if path.is_socket() else path.rmdir()


def serve(address: str) -> None:
    """Fork for each that calls, until whoever started this is gone."""
    _import_all()
    gc.freeze()  # no search for garbage copies the pages of what was imported
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen(16)
        os.write(1, b"listening\n")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while door in select.select([door, sys.stdin], [], [])[0]:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _answer(line)
            line.close()


def _import_all() -> None:
    import edgecnn

    for name in IMPORTED:
        importlib.import_module(name)
    for found in pkgutil.walk_packages(edgecnn.__path__, "edgecnn."):
        if found.name not in APART:
            try:
                importlib.import_module(found.name)
            except (ImportError, SystemExit):
                continue


def _answer(line: socket.socket) -> None:
    """In a process that waits for the one that runs the words, and says how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(line, 8, 2)
    rest, text = int.from_bytes(size), b""
    while len(text) < rest:
        text += line.recv(rest - len(text))
    asked = json.loads(text)
    child = os.fork()
    if child == 0:
        line.close()
        _become(asked, streams)
    _, status = os.waitpid(child, 0)
    line.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(asked: dict[str, object], streams: list[int]) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for given, own in zip((null, *streams), (0, 1, 2), strict=True):
        os.dup2(given, own)
        os.close(given)
    os.chdir(str(asked["cwd"]))
    sys.path[0] = str(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])  # type: ignore[arg-type, call-overload]
    sys.argv = ["edgecnn", *asked["words"]]  # type: ignore[misc]
    runpy.run_module("edgecnn", run_name="__main__", alter_sys=True)
    raise SystemExit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
