"""What docs/architecture.md says is enough to add something is: one of each is added to a copy of the tree, and used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.house.source_tree import ROOT

COPIED = ("edgecnn", "devices", "pipelines", "baselines")


class Tree:
    """A copy of the tree that a test adds to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, text: str) -> None:
        assert not (self.root / name).exists(), "to add is not to change"
        (self.root / name).write_text(text, encoding="utf-8")

    def insert(self, name: str, before: str, text: str) -> None:
        """A row, before the first line that begins so."""
        content = (self.root / name).read_text(encoding="utf-8")
        place = content.index(f"\n{before}") + 1
        (self.root / name).write_text(content[:place] + text + content[place:], encoding="utf-8")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.root), "EDGECNN_STORE": str(self.root / "store")}
        command = [sys.executable, "-m", "edgecnn", *words]
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    def told(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The copy with one of each added, by the files that the page names and no other."""
    root = tmp_path_factory.mktemp("tree")
    for folder in COPIED:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    grown = Tree(root)
    add_a_runtime(grown)
    add_a_device(grown)
    add_an_architecture(grown)
    add_a_metric(grown)
    grown.write(
        "pipelines/tiny-on-slate.toml",
        '# The smallest network on the slate.\nschema = "edgecnn.recipe/2"\n\n'
        '[model]\narch = "lenet-5-tall"\n\n[target]\ndevice = "slate"\n',
    )
    return grown


def add_a_runtime(tree: Tree) -> None:
    tree.insert("edgecnn/values/candidate.py", '    TORCH = "torch"', '    ABACUS = "abacus"\n')
    tree.write(
        "edgecnn/runtimes/abacus.py",
        "from edgecnn.runtimes.onnxruntime import OnnxRuntimeBackend\n"
        "from edgecnn.values.candidate import Candidate, Precision, Runtime\n\n\n"
        "class AbacusBackend(OnnxRuntimeBackend):\n"
        "    runtime = Runtime.ABACUS\n"
        '    session_module = "abacus_cpu"\n\n'
        "    def supports(self, device):\n"
        "        if self.runtime not in device.runtimes:\n"
        "            return ()\n"
        '        return (Candidate(id="abacus-fp32", runtime=self.runtime, precision=Precision.FP32),)\n\n\n'
        "BACKEND = AbacusBackend()\n",
    )
    tree.write("edgecnn/runner/sessions/abacus_cpu.py", "from .onnxruntime_cpu import KNOBS, open_session  # noqa: F401\n")
    tree.insert("edgecnn/runner/session_options.py", '    "ncnn_cpu"', '    "abacus_cpu": {"threads": _threads},\n')


def add_a_device(tree: Tree) -> None:
    limits = (
        'versions = ">=1"\npython = ">=3.10"\nonnx_opset_max = 21\nonnx_ir_max = 10\n'
        'precisions = { fp32 = "native" }\nsource = "its maker"\n'
    )
    tree.write(
        "devices/slate.toml",
        'name = "slate"\ntitle = "A slate"\nrole = "target"\nusually_attached = false\n\n[match]\n\n'
        '[processor]\narchitecture = "aarch64"\nmodel = "Chalk"\nisa = []\nsource = "its maker"\n\n'
        f"[runtimes.onnxruntime]\n{limits}\n[runtimes.abacus]\n{limits}",
    )


def add_an_architecture(tree: Tree) -> None:
    """LeNet-5 under another name, for photographs twice as wide."""
    content = (tree.root / "edgecnn/models/rows/classic.py").read_text(encoding="utf-8")
    begin = content.index('    Member(name="lenet-5"')
    end = content.index("),\n", begin) + len("),\n")
    row = content[begin:end].replace('name="lenet-5"', 'name="lenet-5-tall"').replace("=32,", "=64,")
    (tree.root / "edgecnn/models/rows/classic.py").write_text(content[:end] + row + content[end:], encoding="utf-8")


def add_a_metric(tree: Tree) -> None:
    row = (
        '    Metric("p95_ms", "ms", "latency", "lower", _read("latency", "p90_ms"), "95th percentile of latency", "p95",\n'
        "           judged=findings.latency(90)),\n"
    )
    tree.insert("edgecnn/judging/metrics.py", '    Metric("p99_ms"', row)


def test_a_device_is_one_file(tree: Tree) -> None:
    assert "slate" in {each["name"] for each in tree.told("list", "devices")}


def test_a_recipe_is_one_file_and_its_first_line_its_summary(tree: Tree) -> None:
    shown = {each["name"]: each for each in tree.told("list", "pipelines")}
    assert shown["tiny-on-slate"]["summary"] == "The smallest network on the slate."


def test_a_plan_has_the_new_network_on_the_new_device_in_the_new_runtime(tree: Tree) -> None:
    plan = tree.told("plan", "tiny-on-slate")
    assert plan["resolved"]["arch"]["name"] == "lenet-5-tall"
    assert {"onnxruntime-fp32", "abacus-fp32"} <= {step["candidate"] for step in plan["steps"] if step["candidate"]}


def test_a_metric_can_be_bounded_and_a_misspelt_one_cannot(tree: Tree) -> None:
    assert tree.run("plan", "tiny-on-slate", "--max", "p95_ms=9", "--json").returncode == 0
    refused = tree.run("plan", "tiny-on-slate", "--max", "p96_ms=9", "--json")
    assert refused.returncode == 2
    assert "p95_ms" in refused.stderr
