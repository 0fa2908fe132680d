"""Imports go down only: the contracts in pyproject.toml hold, and no package stands outside of them."""

from __future__ import annotations

import ast
import subprocess
import tomllib

from tests.house.source_tree import PACKAGE, ROOT, SCRIPTS, modules, relative, syntax

RUNNER_MAY_IMPORT = {
    "numpy",
    "PIL",
    "onnxruntime",
    "openvino",
    "tensorrt",
    "tensorrt_rtx_bindings",
    "torch",
    "ncnn",
    "ai_edge_litert",
}
"""Beyond the standard library and itself: two libraries, and in a session the one runtime it is about."""


def test_every_import_goes_down() -> None:
    done = subprocess.run(
        [SCRIPTS / "lint-imports", "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_has_a_layer() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    named = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    present = {path.stem for path in PACKAGE.iterdir() if (path / "__init__.py").is_file() or path.suffix == ".py"}
    assert present - named - {"__init__"} == set(), "pyproject.toml, [tool.importlinter]: give the package its layer"
    assert named - present == set(), "pyproject.toml, [tool.importlinter]: a layer without a package"
    assert contract["exhaustive"]


def test_the_runner_imports_relatively_or_what_a_board_has() -> None:
    import sys

    found = []
    for name, path in modules().items():
        if not name.startswith("edgecnn.runner"):
            continue
        for node in ast.walk(syntax(path)):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                imported = [node.module or ""]
            top = {dotted.partition(".")[0] for dotted in imported}
            found += [
                f"{relative(path)}:{node.lineno} imports {each}" for each in top - RUNNER_MAY_IMPORT - sys.stdlib_module_names
            ]
    assert found == []
