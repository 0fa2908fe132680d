"""ONNX Runtime Web: download the npm package once, verify its digest, and copy its files into kits.

It has no wheel. https://www.npmjs.com/package/onnxruntime-web states the digest; the licence is MIT.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
from filelock import FileLock

from edgecnn.errors.devices import CONVERTER_FAILED
from edgecnn.errors.weights import DownloadFailed
from edgecnn.installed import VENDORED, Glibc, Series, is_offline
from edgecnn.runtimes.job import Job
from edgecnn.runtimes.onnxruntime import BACKEND as ONNX_RUNTIME
from edgecnn.runtimes.protocol import Backend, Halves, Logits, OmittedArithmetic, OutputCheck, Size, halves_of
from edgecnn.store.disk import download, umask_mode
from edgecnn.store.store import default_root
from edgecnn.values.candidate import Candidate, Runtime, Scheme
from edgecnn.values.device import Processor
from edgecnn.values.model_file import MODEL_FILE_NAME, ModelFile, ModelRequirements, SessionSpec

DISTRIBUTION = "onnxruntime-web"
VERSION = VENDORED[DISTRIBUTION]
FILES: Mapping[Runtime, tuple[str, ...]] = {
    Runtime.WASM: ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    Runtime.WEBGPU: (
        "ort.webgpu.min.mjs",
        "ort-wasm-simd-threaded.asyncify.mjs",
        "ort-wasm-simd-threaded.asyncify.wasm",
    ),
}
"""Files that a page needs, threads included: https://onnxruntime.ai/docs/tutorials/web/deploy.html"""
_ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"
_URL = f"https://registry.npmjs.org/onnxruntime-web/-/{_ARCHIVE}"
_SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)


def web_folder() -> Path:
    """Return the folder of ``web_files``, which may not exist yet."""
    return default_root() / "runtimes" / f"onnxruntime-web-{VERSION}"


def is_unpacked(runtime: Runtime) -> bool:
    """Whether a runtime's ``FILES`` exist. An older edgecnn may have unpacked only some."""
    return all((web_folder() / name).is_file() for name in FILES[runtime])


def web_files(candidate: str, runtime: Runtime) -> Path:
    """Return a folder next to the store's artifacts with a runtime's ``FILES``. They are downloaded once.

    Raises CONVERTER_FAILED: the download failed, or its digest differs from the published one.
    """
    folder = web_folder()
    if is_unpacked(runtime):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock", mode=umask_mode(0o666)):
        if not is_unpacked(runtime):
            _unpack(_verified_archive(folder.parent / _ARCHIVE, candidate), folder, candidate)
    return folder


def _unpack(archive: Path, folder: Path, candidate: str) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as work:
        names = [name for runtime_files in FILES.values() for name in runtime_files]
        with tarfile.open(archive) as packed:
            for name in names:
                inside = packed.extractfile(f"package/dist/{name}")
                if inside is None:
                    raise CONVERTER_FAILED(converter=_ARCHIVE, candidate=candidate, why=f"its {name} is not a file")
                with (Path(work) / name).open("wb") as file:
                    shutil.copyfileobj(inside, file)
        for name in names:
            (Path(work) / name).replace(folder / name)
    archive.unlink()


def _verified_archive(path: Path, candidate: str) -> Path:
    """Return the verified archive. It is downloaded unless the file exists."""
    if not path.is_file() and is_offline():
        why = f"EDGECNN_OFFLINE is on, and {path} does not exist; `npm pack onnxruntime-web@{VERSION}` makes it"
        raise CONVERTER_FAILED(converter=_ARCHIVE, candidate=candidate, why=why)
    partial = path.with_suffix(".part")
    try:
        if not path.is_file():
            download(_URL, partial, _ARCHIVE)
            partial.rename(path)
    except (DownloadFailed, OSError) as error:
        raise CONVERTER_FAILED(converter=_ARCHIVE, candidate=candidate, why=str(error)) from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").hexdigest()
    if digest != _SHA512:
        path.unlink()
        why = f"its SHA-512 is {digest[:12]}… instead of {_SHA512[:12]}…; it was deleted, and the next run downloads it again"
        raise CONVERTER_FAILED(converter=_ARCHIVE, candidate=candidate, why=why)
    return path


class BrowserBackend(Backend):
    """The part of ``Backend`` that browser runtimes share: kits of ONNX Runtime's network and the files of ONNX Runtime Web."""

    runtime: Runtime
    session_module: str
    runtime_packages: Mapping[str, str]
    title = "ONNX Runtime Web"
    size: Size | str = "not measured: the browser is a system package"
    licences: Mapping[str, str] = {DISTRIBUTION: "MIT"}
    """https://github.com/microsoft/onnxruntime/blob/main/LICENSE"""
    extra = "onnxruntime"
    packages: tuple[str, ...] = ("onnx", "onnxruntime", DISTRIBUTION)
    pip_installs = False
    wheels: tuple[Series, ...] = ()
    glibc: Mapping[str, Glibc] = {}
    reads_onnx = False
    """The page in the kit opens the ONNX file."""
    fp32_options: Mapping[str, str] = {}
    exact_options: Mapping[str, str] = {}
    builder: str | None = None
    learned: Scheme | None = None

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """See ``Backend.convert``. ONNX Runtime Web reads ONNX Runtime's files.

        Raises CONVERTER_FAILED: see ``web_files``.
        """
        ONNX_RUNTIME.convert(onnx, candidate, out)
        self._add_web_files(candidate, out)

    def write(self, job: Job) -> dict[str, Any]:
        """See ``Backend.write``. INT8 files are ONNX Runtime's: WebAssembly has the same kernels as the CPU."""
        facts = ONNX_RUNTIME.write(job)
        self._add_web_files(job.candidate, job.out)
        return facts

    def logits(self, folder: Path, model: ModelFile, feed: npt.NDArray[Any]) -> Logits:
        """See ``Backend.logits``. ONNX Runtime computes the golden logits, without a browser."""
        return ONNX_RUNTIME.logits(folder, model, feed)

    def output_check(self, candidate: Candidate) -> OutputCheck:
        """See ``Backend.output_check``. ONNX Runtime runs the file; the kit's self-test runs in a browser."""
        return ONNX_RUNTIME.output_check(candidate)

    def halves(self, candidate: Candidate) -> Halves:
        """See ``Backend.halves``."""
        return halves_of(candidate)

    def sums_saturate(self, candidate: Candidate, processor: Processor) -> bool:
        """See ``Backend.sums_saturate``. WebAssembly widens bytes to 16 bits and adds their products in 32."""
        return False

    def left_out(self, candidate: Candidate) -> OmittedArithmetic:
        """See ``Backend.left_out``."""
        return OmittedArithmetic("the browser's own kernels")

    def _add_web_files(self, candidate: Candidate, out: Path) -> None:
        """Turn ONNX Runtime's files in ``out`` into a browser's. Raises CONVERTER_FAILED: see ``web_files``."""
        files, model_file = FILES[self.runtime], out / MODEL_FILE_NAME
        unpacked = web_files(candidate.id, self.runtime)
        for name in files:
            shutil.copyfile(unpacked / name, out / name)
        changed = {
            "session": SessionSpec(module=self.session_module, options=candidate.session_options),
            "requirements": ModelRequirements(packages=self.runtime_packages),
            "beside": files,
        }
        model = ModelFile.model_validate_json(model_file.read_text(encoding="utf-8"))
        model_file.write_text(model.model_copy(update=changed).to_json(), encoding="utf-8")
