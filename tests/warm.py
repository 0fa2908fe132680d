"""edgecnn's command line in a process of its own, forked from one that has imported already what builds import.

A process that imports pydantic, torch and the runtimes anew costs a second for a word that is refused and five for a build;
tests start many hundreds. What is forked has a memory, streams, a folder and an environment of its own, as a new process has.
It shares what a process gets as it begins: the seed of hashes, what modules say and read of the environment while they are
imported, and that all of them are. Tests of these, of signals and of the terminal start ``python -m edgecnn`` instead, and with
``EDGECNN_COLD=1``, as in ``.ci/run --full`` and ``--hard``, so does every test.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

LIBRARIES = ("numpy", "PIL.Image", "onnx", "onnxruntime", "openvino", "nncf", "torch", "torchvision", "safetensors.torch")
"""And every module of edgecnn's that imports without the extras that tests may lack."""
NOT_IMPORTED = ("edgecnn.__main__", "edgecnn.runner.__main__")


def edgecnn(words: Sequence[str], *, env: Mapping[str, str], cwd: Path | str | None = None) -> subprocess.CompletedProcess[str]:
    """What ``python -m edgecnn`` with these words prints and ends with.

    Args:
        words: after ``edgecnn``.
        env: the whole environment of the process; one that tells Python itself something starts a new one.
        cwd: its folder; this process's own unless given.
    """
    command = [sys.executable, "-m", "edgecnn", *words]
    if sys.platform != "linux" or os.environ.get("EDGECNN_COLD") or _tells_the_process_itself(env):
        return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, socket.socket(socket.AF_UNIX) as line:
        line.connect(_server())
        asked = json.dumps({"words": list(words), "env": dict(env), "cwd": str(cwd or Path.cwd())}).encode()
        socket.send_fds(line, [len(asked).to_bytes(8)], [out.fileno(), err.fileno()])
        line.sendall(asked)
        status = line.makefile().readline()
        out.seek(0)
        err.seek(0)
        assert status, f"nobody says how edgecnn {' '.join(words)} ended; it said: {err.read()}"
        return subprocess.CompletedProcess(command, int(status), out.read(), err.read())


def _tells_the_process_itself(env: Mapping[str, str]) -> bool:
    """What is read as a process begins differs from what the server began with, which waits as every place of tests asks."""
    names = {name for name in {*env, *os.environ} if name.startswith(("PYTHON", "OMP_", "MKL_", "LD_"))} - {"OMP_WAIT_POLICY"}
    return any(env.get(name) != os.environ.get(name) for name in names)


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
    shutil.rmtree(folder)


def serve(address: str) -> None:
    """Fork for each that calls, until whoever started this is gone."""
    _import_all()
    gc.freeze()  # no search for garbage copies the pages of what was imported
    running: dict[int, tuple[int, socket.socket]] = {}  # by the descriptor of a process, its number and who waits for it
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen(16)
        os.write(1, b"listening\n")
        while True:
            callers = {line: child for child, line in running.values()}
            ready = select.select([door, sys.stdin, *running, *callers], [], [])[0]
            gone = callers if sys.stdin in ready else callers.keys() & set(ready)
            for line in gone:
                os.kill(callers[line], signal.SIGKILL)  # nobody waits any more: what was given up does not run on
            for ended in running.keys() & set(ready):
                _tell(*running.pop(ended))
                os.close(ended)
            if sys.stdin in ready:
                return
            if door in ready:
                child, line = _started(door.accept()[0])
                running[os.pidfd_open(child)] = (child, line)


def _import_all() -> None:
    import edgecnn

    for name in LIBRARIES:
        importlib.import_module(name)
    for found in pkgutil.walk_packages(edgecnn.__path__, "edgecnn."):
        if found.name not in NOT_IMPORTED:
            try:
                importlib.import_module(found.name)
            except (ImportError, SystemExit):
                continue


def _started(line: socket.socket) -> tuple[int, socket.socket]:
    size, streams, _, _ = socket.recv_fds(line, 8, 2)
    with line.makefile("rb") as told:
        text = told.read(int.from_bytes(size))
    child = os.fork()
    if child == 0:
        _become(json.loads(text), streams)
    for stream in streams:
        os.close(stream)
    return child, line


def _tell(child: int, line: socket.socket) -> None:
    _, status = os.waitpid(child, 0)
    with line, contextlib.suppress(BrokenPipeError):
        line.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


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
    try:
        runpy.run_module("edgecnn", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        _end_with(ended.code)
    _end_with(0)


def _end_with(code: object) -> None:
    """As Python ends, without taking all modules apart, which would copy every page of them."""
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    serve(sys.argv[1])
