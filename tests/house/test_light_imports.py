"""`edgecnn --help` and `edgecnn plan` answer at once: they never import a library that takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source_tree import ROOT, modules

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "torchao",
    "scipy.stats",
    "tensorrt",
    "tensorrt_rtx_bindings",
    "sklearn",
    "altair",
    "jinja2",
    "vl_convert",
    "mlperf_loadgen",
    "pyarrow",
)
LIGHT_PACKAGES = ("api", "building", "cli", "data", "errors", "hosts", "judging", "measure", "render", "resources")
LIGHT_PACKAGES += ("installed", "runner", "stages", "store", "values")
SERVING = ("edgecnn.bundle.answering", "edgecnn.bundle.serving", "edgecnn.render.page.served")
"""A server starts within a second, although other modules of these rooms import heavy libraries."""
RUNTIME_SESSIONS = "edgecnn.runner.sessions."
"""Imported in a kit, by the process that is about to run that one runtime."""
PAGE = "edgecnn.render.page."
"""About the page alone, and imported when one is written."""
REPORT_HEAVY = f"import sys; sys.stderr.write('HEAVY ' + ' '.join(name for name in {HEAVY!r} if name in sys.modules))"
COMMANDS = {
    "help": ["--help"],
    "build-help": ["build", "--help"],
    "list-archs": ["list", "archs"],
    "list-devices": ["list", "devices", "--json"],
    "list-runtimes": ["list", "runtimes"],
    "recipe-show": ["recipe", "show", "demo", "--weights", "none"],
    "plan": ["plan", "--arch", "resnet-18", "--target", "cpu", "--weights", "none"],
}


def heavy_after(code: str, folder: Path) -> tuple[int, str, str]:
    """Run code in a fresh interpreter: its exit status, its stdout, and on stderr the heavy modules it left imported."""
    lines = ["import sys", "status = 0", "try:", f"    {code}", "except SystemExit as end:", "    status = end.code or 0"]
    program = "\n".join((*lines, REPORT_HEAVY, "sys.exit(status)"))
    environment = {"EDGECNN_STORE": str(folder / "store"), "PATH": "", "HOME": str(folder), "COLUMNS": "120"}
    environment["PYTHONPATH"] = str(ROOT)  # this checkout, whatever an editable install points to
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_runs_nothing_imports_nothing_heavy(name: str, tmp_path: Path) -> None:
    call = f"sys.argv = {['edgecnn', *COMMANDS[name]]!r}; from edgecnn.cli.main import main; main()"
    status, said, talk = heavy_after(call, tmp_path)
    assert status == 0, talk
    assert said
    assert talk.rpartition("HEAVY ")[2] == ""


def test_help_loads_no_validation_library(tmp_path: Path) -> None:
    """Pydantic and numpy would be most of the 0.3 s that ``--help`` may take."""
    code = "import edgecnn.cli.main; print(' '.join(name for name in ('pydantic', 'numpy', 'PIL') if name in sys.modules))"
    assert heavy_after(code, tmp_path)[1] == "\n"


def test_no_module_of_a_light_package_imports_anything_heavy(tmp_path: Path) -> None:
    light = [name for name in modules() if name.split(".")[1:2] != [] and name.split(".")[1] in LIGHT_PACKAGES]
    light = [name for name in light if not name.startswith((RUNTIME_SESSIONS, PAGE)) and not name.endswith("__main__")]
    light += SERVING
    status, _, talk = heavy_after(f"import importlib; [importlib.import_module(name) for name in {light!r}]", tmp_path)
    assert status == 0, talk
    assert talk.rpartition("HEAVY ")[2] == ""
