"""What all kits for a web browser have in common: ONNX Runtime's network beside the files of ONNX Runtime Web."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from edgecnn.backends.onnxruntime import BACKEND as ONNX_RUNTIME
from edgecnn.backends.onnxruntime_web import DISTRIBUTION, FILES, web_files
from edgecnn.values.candidate import Candidate, Runtime
from edgecnn.values.model_file import MODEL_FILE_NAME, ModelFile, ModelRequirements, SessionSpec


class BrowserBackend:
    """The part of ``Backend`` that makes kits."""

    runtime: Runtime
    session_module: str
    runtime_packages: Mapping[str, str]
    extra = "onnxruntime"
    packages: tuple[str, ...] = ("onnx", "onnxruntime", DISTRIBUTION)

    def convert(self, onnx: Path, candidate: Candidate, out: Path) -> None:
        """See ``Backend.convert``. ONNX Runtime Web reads what ONNX Runtime does.

        Raises ConverterFailed: see ``web_files``.
        """
        ONNX_RUNTIME.convert(onnx, candidate, out)
        self.complete(candidate, out)

    def complete(self, candidate: Candidate, out: Path) -> None:
        """Make what was made for ONNX Runtime in ``out`` a browser's. Raises ConverterFailed: see ``web_files``."""
        files, described = FILES[self.runtime], out / MODEL_FILE_NAME
        unpacked = web_files(candidate.id, self.runtime)
        for name in files:
            shutil.copyfile(unpacked / name, out / name)
        changed = {
            "session": SessionSpec(module=self.session_module, options=candidate.session_options),
            "requirements": ModelRequirements(packages=self.runtime_packages),
            "beside": files,
        }
        made = ModelFile.model_validate_json(described.read_text(encoding="utf-8"))
        described.write_text(made.model_copy(update=changed).to_json(), encoding="utf-8")
