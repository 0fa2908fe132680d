from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edgecnn.devices.doctor import parts
from edgecnn.devices.doctor.facts import PackageFact
from edgecnn.devices.doctor.parts import PARTS, SIZES, addition_of, install_command, no_wheel, packages_of
from edgecnn.runtimes.protocol import Size
from tests.house.source_tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
METADATA = """Metadata-Version: 2.4
Name: edgecnn
Version: 9.9.9
Requires-Dist: numpy<3,>=2.0
Requires-Dist: absent-package>=1; sys_platform == 'plan9'
Provides-Extra: openvino
Requires-Dist: openvino<2000; extra == 'openvino'
Requires-Dist: absent-package>=1; extra == 'openvino'
Requires-Dist: elsewhere>=1; (sys_platform == 'plan9') and extra == 'openvino'
"""


def test_every_extra_of_the_project_is_a_part_with_a_size_or_the_reason_why_there_is_none() -> None:
    extras = PROJECT["optional-dependencies"].keys() - {"all", "test", "docs"}
    assert {row.name for row in PARTS} == extras | {"wasm", "webgpu"} == SIZES.keys()


def test_a_parts_packages_are_those_that_the_project_declares() -> None:
    assert [each.name for each in packages_of("openvino")] == ["openvino", "nncf"]
    assert [each.wanted for each in packages_of("loadgen")] == ["<7,>=6.0.3"]
    assert {each.name for each in packages_of()} == {
        "filelock",
        "numpy",
        "packaging",
        "pillow",
        "pydantic",
        "rich",
        "tomlkit",
        "scipy",
        "typer",
    }
    assert all(each.fits for each in packages_of())


def test_an_installed_wheel_is_asked_by_its_metadata(tmp_path: Path) -> None:
    """Outside of a checkout: requirements of other systems are left out, a version beyond its range does not fit."""
    about = tmp_path / "edgecnn-9.9.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(METADATA)
    (tmp_path / "edgecnn").symlink_to(ROOT / "edgecnn")
    code = (
        "import edgecnn.devices.doctor.parts as parts; from pathlib import Path;"
        f"parts._CHECKOUT = Path('{tmp_path}');"
        "print([(each.name, each.version is None, each.fits) for each in parts.packages_of('openvino')]);"
        "print([each.name for each in parts.packages_of()]); print(parts.install_command('openvino'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "[('openvino', False, False), ('absent-package', True, False)]",
        "['numpy']",
        f'{sys.executable} -m pip install "edgecnn[openvino]"',
    ]


def test_the_command_is_for_the_python_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the checkout as README has it, elsewhere with its path; `pip` alone only where a shell finds this Python's."""
    monkeypatch.setattr(parts.shutil, "which", lambda name: str(Path(sys.executable).parent / "pip"))
    monkeypatch.chdir(ROOT)
    assert install_command("report") == 'pip install -e ".[report]"'
    monkeypatch.chdir(tmp_path)
    assert install_command("report") == f"pip install -e '{ROOT}[report]'"
    monkeypatch.setattr(parts.shutil, "which", lambda name: "/elsewhere/bin/pip")
    assert install_command("report").startswith(f"{sys.executable} -m pip install -e ")


def test_a_size_says_how_it_was_measured_and_one_that_was_not_is_no_number() -> None:
    by_name = {row.name: addition_of(row) for row in PARTS}
    assert by_name["tensorrt"].download_mib is None and by_name["tensorrt"].disk_mib is None
    assert (by_name["tensorrt"].measured or "").startswith("not measured: ")
    assert (by_name["openvino"].measured or "").startswith("2026-11-20, Python 3.11 on Linux x86-64: ")
    assert by_name["offline-weights"].beyond == "edgecnn[train]"


def test_a_part_without_a_wheel_has_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = PackageFact(name="ai-edge-litert", wanted="", version=None, fits=False)
    monkeypatch.setattr(parts, "packages_of", lambda name: (absent,))
    monkeypatch.setattr(parts, "why_no_wheel", lambda name: f"{name} has no wheel for Linux on armv7l")
    row = next(row for row in PARTS if row.name == "litert")
    assert addition_of(row).command is None
    assert no_wheel(row) == "ai-edge-litert has no wheel for Linux on armv7l"


def test_the_sizes_are_those_of_what_is_installed_here() -> None:
    """Within a third, so that a table that nobody measured again after a new version is noticed; where it is all installed."""
    from importlib import metadata

    for name in ("openvino", "onnxruntime"):
        try:
            files = metadata.distribution(name).files or []
        except metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed")
        own_mib = sum(path.stat().st_size for each in files if (path := Path(str(each.locate()))).is_file()) / 2**20
        size = SIZES[name]
        assert isinstance(size, Size) and size.disk_mib / 2 < own_mib < size.disk_mib
