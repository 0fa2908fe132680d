"""Try a custom file in a separate process first, so that a crash, a hang or excessive memory cannot affect this process.

The trial reads the file, runs one grey image, and for ONNX makes the trunk and counts multiply-adds, or only counts. Any failure
there becomes an error about the file, and this process opens only files that passed.
"""

from __future__ import annotations

import json
import os
import signal
import site
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from edgecnn.errors.base import EdgecnnError, error_again
from edgecnn.errors.custom_model import custom_model_unusable
from edgecnn.errors.weights import PACKAGE_UNIMPORTABLE
from edgecnn.errors.wording import reason_in
from edgecnn.runner.machine.procfs import ROOT, read_limits
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.failures import temporary_folder_errors
from edgecnn.values.custom_model import TorchForm

try:
    import resource
except ImportError:  # Windows, where only time is limited
    resource = None  # type: ignore[assignment]

TIME_S: Final = 300.0
"""Time-out of the trial."""
MEMORY_BYTES: Final = 3 << 29
"""1.5 GiB, of which torch and the smallest file take 0.9, plus ten times the file with its external weights. These are held as in
the file, in the runtime, and as the trunk. Half of the memory is allowed if that is more."""
WRITTEN_BYTES: Final = 16 << 20
"""Limit of the trial's output, which is kept in the temporary folder. A warning for each of 50,000 operators takes 10 MB, and an
endless print reaches it within two seconds."""
_CORES: Final = 4
"""Each thread uses its own memory."""
_CHECKOUT: Final = Path(__file__).resolve().parents[3]
"""The folder that edgecnn is imported from."""
_BEGUN: Final = b"begun\n"
"""Printed before the file is opened. If the process dies afterwards, the file is the cause."""
_NO_MEMORY_TO_IMPORT: Final = ("failed to map segment", "annot allocate memory")
"""The dynamic linker's message when memory is limited."""


def try_file(
    path: Path,
    form: TorchForm | None,
    resolution_px: ImageSize | None,
    output: str | None = None,
    limit_s: float = TIME_S,
) -> None:
    """Return if a separate process handles this file within limits of time and memory.

    ``output``: the name of its class scores, if it has several outputs.

    Raises:
        EdgecnnError: see ``read_file``, ``open_file`` and ``convert_to_trunk``.
        TemporaryFolderFull, PACKAGE_UNIMPORTABLE: the trial could not run.
        CustomModelUnusable: it exceeded the limits, killed the process, or failed in an unknown way.
    """
    _try_in_process(path, {"form": form, "resolution_px": resolution_px and resolution_px.stated, "output": output}, limit_s)


def try_counting(path: Path, limit_s: float = TIME_S) -> None:
    """Try only the counting of an ONNX file's multiply-adds. Raises EdgecnnError: see ``cost_of_file`` and ``try_file``."""
    _try_in_process(path, {"counted": True}, limit_s)


def _try_in_process(path: Path, request: Mapping[str, Any], limit_s: float) -> None:
    usual = {"form": None, "resolution_px": None, "output": None, "counted": False}
    request = {"path": str(path), "limit_s": limit_s, **usual, **request}
    command = [sys.executable, "-P", "-m", "edgecnn.graph.custom.trial"]
    environment = dict(os.environ)
    if str(_CHECKOUT) not in (*site.getsitepackages(), site.getusersitepackages()):  # import the same edgecnn there
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_CHECKOUT), os.environ.get("PYTHONPATH"))))
    with temporary_folder_errors(f"trying {path}"), tempfile.TemporaryFile() as stderr:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": stderr, "env": environment}
        try:
            ended = subprocess.run(command, input=json.dumps(request).encode(), timeout=limit_s, check=False, **pipes)
        except subprocess.TimeoutExpired as error:
            raise custom_model_unusable(path=path, because=f"reading it took more than {limit_s:g} s") from error
        stderr.seek(max(0, stderr.tell() - 1000))
        last = stderr.read().decode("utf-8", "replace").strip()
    begun, answer = ended.stdout.startswith(_BEGUN), ended.stdout.removeprefix(_BEGUN)
    if ended.returncode >= 0 and not begun:
        raise RuntimeError(f"the process that tries {path} did not start: {last}")
    if ended.returncode or not answer:
        raise custom_model_unusable(path=path, because=_describe_ending(ended.returncode, last))
    if (kept := json.loads(answer)) is not None:
        raise error_again(kept)


def _describe_ending(code: int, last: str) -> str:
    """Describe a process that returned no result."""
    ended = "reading it ended its trial process"
    if code < 0:
        by = signal.Signals(-code).name
        too_much = f"reading it writes more than the allowed {WRITTEN_BYTES >> 20} MiB"
        return too_much if by == "SIGXFSZ" else f"{ended}: {by}"
    message = reason_in((last.splitlines() or [""])[-1])
    return f"{ended} with {code}, which printed: {message}" if message else f"{ended} with {code}"


def _try_request(path: str, limit_s: float, counted: bool, resolution_px: str | None, **more: Any) -> None:
    file = Path(path)
    _limit_resources((file,), limit_s)  # until its external weights are known
    if not counted:
        size = None if resolution_px is None else ImageSize.of(resolution_px)
        read_and_convert(file, limit_s=limit_s, resolution_px=size, **more)
        return
    from edgecnn.graph.onnx_cost import cost_of_file
    from edgecnn.graph.onnx_file import external_files

    beside = external_files(file) if file.is_file() else ()
    _limit_resources((file, *(file.parent / name for name in beside)), limit_s)
    cost_of_file(file)


def read_and_convert(
    path: Path,
    form: TorchForm | None = None,
    resolution_px: ImageSize | None = None,
    output: str | None = None,
    limit_s: float | None = None,
) -> None:
    """Read a file, run images, and for ONNX make the trunk. ``limit_s``: also limit this process's resources.

    Raises EdgecnnError: the file cannot be used.
    """
    from edgecnn.graph.custom.file import count_macs, files_beside, onnx_graph_of, read_file, require_steady
    from edgecnn.graph.custom.onnx_entry import digest_of_model
    from edgecnn.graph.custom.onnx_trunk import convert_to_trunk
    from edgecnn.graph.onnx_file import save_model

    beside = files_beside(path, form)
    if limit_s is not None:
        _limit_resources((path, *(path.parent / name for name in beside)), limit_s)
    digest_of_model(path, beside)
    entry = read_file(path, form, resolution_px, output).entry
    require_steady(path, entry)
    if form is not None:
        return  # exporting may fail too, and reports it
    theirs, entry = onnx_graph_of(path, entry)
    model = convert_to_trunk(theirs, entry, "grey" if entry.colours == 1 else "rgb", path)
    with tempfile.TemporaryDirectory() as folder, _unlimited_file_size():
        save_model(model, Path(folder) / "model.onnx")
        if entry.quantized is None:
            count_macs(Path(folder) / "model.onnx", path, {})


def error_of(path: Path, work: Callable[[], object]) -> EdgecnnError | None:
    """Return any exception of ``work`` on a file as an error about the file; None if there is none."""
    try:
        with temporary_folder_errors(f"trying {path}"):
            work()
    except EdgecnnError as error:
        return error
    except (MemoryError, ImportError) as error:
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY_TO_IMPORT):
            return custom_model_unusable(path=path, because="reading it takes more memory than allowed")
        package = (error.name or "that it was made with").partition(".")[0]
        return PACKAGE_UNIMPORTABLE(package=package, extra="train", needed_for=str(path), because=" ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 - the exception depends on the bytes
        because = f"reading it fails with {type(error).__name__}: {reason_in(error)}"
        return custom_model_unusable(path=path, because=because)
    return None


def _limit_resources(files: Sequence[Path], limit_s: float) -> None:
    """Limit this process's memory, time and output. It then ends even if its parent is gone."""
    if resource is None:
        return
    held = sum(file.stat().st_size for file in files if file.is_file())
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_DATA: memory_limit(held),
        resource.RLIMIT_CPU: int(limit_s * _CORES) + 1,
        resource.RLIMIT_FSIZE: WRITTEN_BYTES,
    }
    for kind, most in wanted.items():
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    # Python ignores the signal, and some libraries ignore the error that replaces it
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def memory_limit(held: int, root: Path = ROOT) -> int:
    """Return the memory limit from the computer's memory, or a container's share of it."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit_mib = read_limits(root).memory_mib
    whole = physical if limit_mib is None else min(physical, limit_mib << 20)
    return max(MEMORY_BYTES, min(MEMORY_BYTES + 10 * held, whole), whole // 2)


@contextmanager
def _unlimited_file_size() -> Iterator[None]:
    """Raise the limit for our own output while nothing of the file runs: the trunk, whose size is limited separately."""
    if resource is None:
        yield
        return
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


def main() -> None:
    """Try the file that standard input names, and print its error, or null."""
    to = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # other output is discarded
    if hasattr(os, "sched_setaffinity") and hasattr(os, "sched_getaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_CORES])
    request = json.loads(sys.stdin.read())
    to.write(_BEGUN.decode())
    to.flush()
    fault = error_of(Path(request["path"]), partial(_try_request, **request))
    json.dump(None if fault is None else fault.kept(), to)
    to.flush()
    os._exit(0)  # nothing that the file registered may run now


if __name__ == "__main__":
    main()
