"""Read, run and convert a custom file in a sandbox, so that a crash, a hang or hostile content cannot affect this process.

This process never parses the file: it receives a description, outputs for images, costs, or the trunk. Any failure in the sandbox
becomes an error about the file.
"""

from __future__ import annotations

import base64
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import custom_model_unusable
from edgecnn.errors.limits import process_limit
from edgecnn.errors.weights import PACKAGE_UNIMPORTABLE
from edgecnn.errors.wording import reason_in
from edgecnn.hosts.sandbox import CORES, WRITTEN_BYTES, Allowed, Crashed, Sandbox, TimedOut
from edgecnn.runner.model_files.onnx_files import named_beside
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.failures import temporary_folder_errors
from edgecnn.values.custom_model import Feeding, GraphEntry, TorchForm
from edgecnn.values.stage import Progress

try:
    import resource
except ImportError:  # Windows, where only time is limited
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import numpy.typing as npt

    from edgecnn.graph.custom.file import AnsweringFile, CustomRequest

TIME_S: Final = 300.0
"""Time-out of reading the file."""
ANSWERS_S: Final = 1800.0
"""Time-out of running one set of images."""
CONVERSION_S: Final = 4 * 3600.0
"""Time-out of making the trunk, which runs every validation image of a multi-label model."""
_LARGEST_BYTES: Final = 4 << 30
"""Largest file that a sandbox may write: a trunk of 2 GiB, and its arrays."""
_ANSWER_NUMBERS: Final = 2_000_000
"""Outputs in one answer, which is one line."""
_MODULE: Final = "edgecnn.graph.custom.trial"
_NO_MEMORY_TO_IMPORT: Final = ("failed to map segment", "annot allocate memory")
"""The dynamic linker's message when memory is limited."""
_Made = TypeVar("_Made")


class Examined(NamedTuple):
    """A file that can be used."""

    entry: GraphEntry
    parameters: int
    content: str
    """The digest that identifies it: see ``digest_of_model``."""
    beside: tuple[str, ...]
    """Names of the files next to it that contain its weights."""


def examine_file(
    path: Path,
    form: TorchForm | None,
    resolution_px: ImageSize | None,
    output: str | None = None,
    limit_s: float = TIME_S,
) -> Examined:
    """Read a file, run one grey image, and for ONNX make the trunk, in a sandbox with limits of time and memory.

    ``output``: the name of its class scores, if it has several outputs.

    Raises:
        EdgecnnError: see ``read_file``, ``open_file`` and ``convert_to_trunk``.
        TemporaryFolderFull, PACKAGE_UNIMPORTABLE: the sandbox could not start.
        CustomModelUnusable: it exceeded the limits, killed the process, or failed in an unknown way.
    """
    size = resolution_px and resolution_px.stated
    arguments = {"form": form, "resolution_px": size, "output": output}
    answer = call_about_file(path, f"{_MODULE}:examine", arguments, limit_s)
    entry = GraphEntry.model_validate(answer["entry"])
    return Examined(entry, int(answer["parameters"]), str(answer["content"]), tuple(map(str, answer["beside"])))


def call_about_file(path: Path, function: str, arguments: Mapping[str, Any] | None = None, limit_s: float = TIME_S) -> Any:
    """Call a function of edgecnn about a custom file in a sandbox, with its path as ``path``, and return its result as JSON.

    ``function``: ``module:name``. Raises EdgecnnError: raised by the function, or of ``examine_file``.
    """
    with _file_errors(path), Sandbox(replace(_allowed(path), cpu_s=limit_s * CORES), cores=CORES) as sandbox:
        request = {"path": str(path), "function": function, "arguments": dict(arguments or {})}
        return sandbox.call(f"{_MODULE}:call_on_file", request, limit_s=limit_s)


def make_trunk_in_sandbox(request: CustomRequest, out: Path, content: str, tell: Progress) -> None:
    """Write the files of ``make_custom_trunk`` in a sandbox.

    ``content``: the expected digest of the file. Raises CUSTOM_MODEL_CHANGED: it has another one. EdgecnnError: see
    ``make_custom_trunk`` and ``examine_file``.
    """
    arguments = {
        "out": str(out), "pixels": str(request.pixels), "content": content,
        "entry": request.entry.model_dump(mode="json"), "feeding": request.feeding.model_dump(mode="json"),
    }  # fmt: skip
    allowed = replace(_allowed(request.model), write=(out,), file_bytes=_LARGEST_BYTES)
    allowed = replace(allowed, read=(*allowed.read, request.pixels))
    with _file_errors(request.model), Sandbox(allowed) as sandbox:
        sandbox.call(f"{_MODULE}:convert", {"path": str(request.model), "request": arguments}, limit_s=CONVERSION_S, tell=tell)


class SandboxedFile:
    """A custom file that runs in a sandbox as long as the block lasts. See ``AnsweringFile``."""

    def __init__(self, path: Path, entry: GraphEntry) -> None:
        self._path, self._entry = path, entry
        self._sandbox = Sandbox(_allowed(path))

    def __enter__(self) -> SandboxedFile:
        self._sandbox.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.__exit__(*_)

    def answers(self, pixels: npt.NDArray[np.uint8], feeding: Feeding) -> npt.NDArray[np.float32]:
        """Return the file's own output, float32 (N, classes), for pixels uint8 (N, H, W, 3).

        Raises CustomModelUnusable: it cannot be opened or run.
        """
        classes = self._entry.classes
        step = max(1, _ANSWER_NUMBERS // max(1, classes))
        parts = [self._part(pixels[start : start + step], feeding) for start in range(0, len(pixels), step)]
        return np.concatenate(parts)

    def _part(self, pixels: npt.NDArray[np.uint8], feeding: Feeding) -> npt.NDArray[np.float32]:
        described = {"entry": self._entry.model_dump_json(), "feeding": feeding.model_dump(mode="json")}
        arguments = {"path": str(self._path), "shape": list(pixels.shape), **described}
        with _file_errors(self._path):
            answer = self._sandbox.call(
                f"{_MODULE}:run", arguments, limit_s=ANSWERS_S, content=np.ascontiguousarray(pixels).tobytes()
            )
        numbers = np.frombuffer(base64.b64decode(answer), np.float32)
        return numbers.reshape(len(pixels), self._entry.classes)


def _allowed(path: Path) -> Allowed:
    """Return what reading a file needs: the file, and the files in its folder that it names as its weights."""
    return Allowed(read=(path, *(path.parent / name for name in named_beside(path))), largest_bytes=_LARGEST_BYTES)


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    """Turn the end of the sandbox into an error about the file."""
    try:
        yield
    except TimedOut as error:
        raise custom_model_unusable(path=path, because=f"reading it took more than {error.limit_s:g} s") from error
    except Crashed as error:
        if error.code >= 0 and not error.begun:
            raise RuntimeError(f"the process that tries {path} did not start: {' '.join(error.lines)}") from error
        raise custom_model_unusable(path=path, because=_describe_ending(error.code, error.lines)) from error


def _describe_ending(code: int, lines: Sequence[str]) -> str:
    """Describe a process that returned no result."""
    ended = "reading it ended its trial process"
    if code < 0:
        by = signal.Signals(-code).name
        too_much = f"reading it writes more than the allowed {WRITTEN_BYTES >> 20} MiB"
        return too_much if by == "SIGXFSZ" else f"{ended}: {by}"
    message = reason_in(lines[-1]) if lines else ""
    return f"{ended} with {code}, which printed: {message}" if message else f"{ended} with {code}"


# The functions below run in the sandbox.


def call_on_file(path: str, function: str, arguments: Mapping[str, Any]) -> Any:
    """Call a function on the file. Raises EdgecnnError: any of its exceptions, as an error about the file."""
    module, _, name = function.partition(":")
    return _about(Path(path), lambda: getattr(import_module(module), name)(Path(path), **arguments))


def examine(path: Path, form: TorchForm | None, resolution_px: str | None, output: str | None) -> dict[str, Any]:
    """Return the fields of ``Examined``. Raises EdgecnnError: see ``examine_file``."""
    size = None if resolution_px is None else ImageSize.of(resolution_px)
    examined = read_and_convert(path, form, size, output)
    return {**examined._asdict(), "entry": examined.entry.model_dump(mode="json")}


@cache
def _opened(path: Path, entry: str) -> AnsweringFile:
    from edgecnn.graph.custom.file import open_file

    return open_file(path, GraphEntry.model_validate_json(entry))


def run(path: str, entry: str, feeding: Any, shape: Sequence[int], content: bytes = b"") -> str:
    """Return the file's output for pixels, as base64 of float32 in C order."""
    pixels = np.frombuffer(content, np.uint8).reshape(shape)
    session = _about(Path(path), partial(_opened, Path(path), entry))
    logits = session.answers(pixels, Feeding.model_validate(feeding))
    return base64.b64encode(np.ascontiguousarray(logits, np.float32).tobytes()).decode("ascii")


def convert(path: str, request: Mapping[str, Any], tell: Progress) -> None:
    """Make the trunk. Raises CUSTOM_MODEL_CHANGED: the file has another digest than the request states."""
    from edgecnn.errors.custom_model import CUSTOM_MODEL_CHANGED
    from edgecnn.graph.custom.file import CustomRequest, digest_of_file, make_custom_trunk

    model, entry = Path(path), GraphEntry.model_validate(request["entry"])
    if digest_of_file(model, entry.form) != request["content"]:
        raise CUSTOM_MODEL_CHANGED(path=model)
    feeding = Feeding.model_validate(request["feeding"])
    make_custom_trunk(CustomRequest(model, Path(request["pixels"]), entry, feeding), Path(request["out"]), tell)


def read_and_convert(
    path: Path, form: TorchForm | None = None, resolution_px: ImageSize | None = None, output: str | None = None
) -> Examined:
    """Read a file, run images, and for ONNX make the trunk. Raises EdgecnnError: the file cannot be used."""
    from edgecnn.graph.custom.file import count_macs, files_beside, onnx_graph_of, read_file, require_steady
    from edgecnn.graph.custom.onnx_entry import digest_of_model
    from edgecnn.graph.custom.onnx_trunk import convert_to_trunk
    from edgecnn.graph.onnx_file import save_model

    beside = files_beside(path, form)
    digest = digest_of_model(path, beside)
    entry, parameters = read_file(path, form, resolution_px, output)
    require_steady(path, entry)
    examined = Examined(entry, parameters, digest, beside)
    if form is not None:
        return examined  # exporting may fail too, and reports it
    theirs, entry = onnx_graph_of(path, entry)
    model = convert_to_trunk(theirs, entry, "grey" if entry.colours == 1 else "rgb", path)
    with tempfile.TemporaryDirectory() as folder, _larger_files():
        save_model(model, Path(folder) / "model.onnx")
        if entry.quantized is None:
            count_macs(Path(folder) / "model.onnx", path, {})
    return examined


@contextmanager
def _larger_files() -> Iterator[None]:
    """Raise the limit of a file for the trunk, whose size is limited separately, while nothing of the custom file runs."""
    if resource is None:
        yield
        return
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


def _about(path: Path, work: Callable[[], _Made]) -> _Made:
    made: list[_Made] = []
    fault = error_of(path, lambda: made.append(work()))
    if fault is not None:
        raise fault
    return made[0]


def error_of(path: Path, work: Callable[[], object]) -> EdgecnnError | None:
    """Return any exception of ``work`` on a file as an error about the file; None if there is none."""
    try:
        with temporary_folder_errors(f"trying {path}"):
            work()
    except EdgecnnError as error:
        return error
    except (MemoryError, ImportError) as error:
        limited = process_limit(error)
        if limited is not None and limited.fields["flag"] == "-v":  # the user's limit; the trial itself sets another
            return limited
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY_TO_IMPORT):
            return custom_model_unusable(path=path, because="reading it takes more memory than allowed")
        package = (error.name or "that it was made with").partition(".")[0]
        return PACKAGE_UNIMPORTABLE(package=package, extra="train", needed_for=str(path), because=" ".join(str(error).split()))
    except Exception as error:  # noqa: BLE001 - the exception depends on the bytes
        because = f"reading it fails with {type(error).__name__}: {reason_in(error)}"
        return custom_model_unusable(path=path, because=because)
    return None
