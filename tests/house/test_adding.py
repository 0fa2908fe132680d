"""What docs/architecture.md says is enough to add something is: one of each is added to a copy of the tree, and used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.data.formats.registry import DataFormat
from edgecnn.render.columns import Column
from edgecnn.render.tracking import TrackerKind
from edgecnn.runner.meters.kinds import MACHINE, MeterKind
from edgecnn.runtimes.protocol import Backend
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
        return self.python("-m", "edgecnn", *words)

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The tests of the checkout make values; edgecnn is the copy."""
        path = f"{self.root}{os.pathsep}{ROOT}"
        environment = {**os.environ, "PYTHONPATH": path, "EDGECNN_STORE": str(self.root / "store")}
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    def answer(self, code: str) -> Any:
        """What a program prints as JSON, in the copy."""
        environment = {**os.environ, "PYTHONPATH": str(self.root)}
        done = subprocess.run([sys.executable, "-c", code], cwd=self.root, env=environment, capture_output=True, check=True)
        return json.loads(done.stdout)

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
    add_a_format(grown)
    add_a_meter(grown)
    add_a_percentile(grown)
    add_a_tracker(grown)
    add_a_column(grown)
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
        "from edgecnn.runtimes.protocol import Line\n"
        "from edgecnn.values.candidate import Candidate, Precision, Runtime\n\n\n"
        "class AbacusBackend(OnnxRuntimeBackend):\n"
        "    runtime = Runtime.ABACUS\n"
        '    adds = "beads"\n'
        '    size = "not measured: made of wood"\n'
        '    line = Line((9, 9), "beaded")\n'
        '    licences = {"abacus": "0BSD"}\n'
        '    runtime_packages = {"abacus": ">=1"}\n'
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
    content = (tree.root / "edgecnn/models/rows.py").read_text(encoding="utf-8")
    begin = content.index('    Member(name="lenet-5"')
    end = content.index("),\n", begin) + len("),\n")
    row = content[begin:end].replace('name="lenet-5"', 'name="lenet-5-tall"').replace("=32,", "=64,")
    (tree.root / "edgecnn/models/rows.py").write_text(content[:end] + row + content[end:], encoding="utf-8")


def add_a_metric(tree: Tree) -> None:
    row = (
        '    Metric("opening_ms", "ms", "latency", "lower", _read("latency", "load_ms"), "Opening", "opening",\n'
        "           judged=findings.latency(90)),\n"
    )
    tree.insert("edgecnn/judging/metrics.py", '    Metric("load_ms"', row)


def add_a_format(tree: Tree) -> None:
    """A file that stands for the folder next to it."""
    tree.write(
        "edgecnn/data/formats/beads.py",
        "from edgecnn.data.files import stamps_in\n"
        "from edgecnn.data.layout import find_layout\n\n\n"
        "def is_beads(text):\n"
        '    return text.endswith(".beads")\n\n\n'
        "def beads_layout(place, reading):\n"
        '    layout = find_layout(place.parent / "photos", reading.progress)\n'
        "    return layout, [stamps_in(layout.root / folder.path, reading.progress) for folder in layout.folders]\n",
    )
    registry = "edgecnn/data/formats/registry.py"
    tree.insert(registry, "from edgecnn.data.demo", "from edgecnn.data.formats.beads import beads_layout, is_beads\n")
    row = '    DataFormat("a string of beads", "list", "refuses", True, is_beads, beads_layout),\n'
    tree.insert(registry, '    DataFormat("a folder of IDX files"', row)


def add_a_meter(tree: Tree) -> None:
    """A file in which somebody counts."""
    tree.write(
        "edgecnn/runner/meters/abacus.py",
        "from .meter import CounterMeter, read_number\n\n\n"
        "class Abacus(CounterMeter):\n"
        '    name = "abacus"\n'
        '    covers = "what somebody counted"\n\n'
        "    def __init__(self, root):\n"
        "        super().__init__()\n"
        "        self._root = root\n"
        "        self.read_uj()\n\n"
        "    def read_uj(self):\n"
        '        return {"beads": read_number(self._root / "sys/abacus/beads", self._root)}\n',
    )
    tree.insert("edgecnn/runner/meters/kinds.py", "from .gpu", "from .abacus import Abacus\n")
    row = (
        '    MeterKind("abacus", 0, MACHINE, lambda root, libraries: Abacus(root), ("sys/abacus/beads",),\n'
        '              Closed("beads-closed", "the beads are closed", "open /{folder}")),\n'
    )
    tree.insert("edgecnn/runner/meters/kinds.py", '    MeterKind("pmic"', row)
    tree.insert("edgecnn/devices/check/recorder.py", '    "sys/bus/i2c', '    "sys/abacus/beads",\n')


def add_a_percentile(tree: Tree) -> None:
    values = tree.root / "edgecnn/values/report.py"
    content = values.read_text(encoding="utf-8").replace("(MEDIAN, 90, 99)", "(MEDIAN, 90, 95, 99)")
    values.write_text(content, encoding="utf-8")
    tree.insert("edgecnn/values/report.py", "    p90_ms: Interval", "    p95_ms: Interval | None = None\n")


def add_a_tracker(tree: Tree) -> None:
    tree.write(
        "edgecnn/render/slate.py",
        "from edgecnn.render.tracking import Sent\n\n\n"
        "class Slate:\n"
        "    def __init__(self, text):\n"
        "        self.shown = text\n\n"
        "    def ask(self):\n"
        "        pass\n\n"
        '    def send(self, run, files=(), experiment=""):\n'
        "        return Sent(self.shown, experiment, anew=True)\n",
    )
    tracker = "edgecnn/render/tracking.py"
    opener = "def _slate(text):\n    from edgecnn.render.slate import Slate\n\n    return Slate(text)\n\n\n"
    tree.insert(tracker, "TRACKERS: Final", opener)
    tree.insert(tracker, "    TrackerKind(\n", '    TrackerKind("slate", ("slate",), "slate: and a place", _slate),\n')


def add_a_column(tree: Tree) -> None:
    row = '    Column("first_ms", "first ms", "first", "ms", 12, "any", _EVERYWHERE, partial(metric_cell, "first_ms")),\n'
    tree.insert("edgecnn/render/columns.py", '    Column("size_mib"', row)


def test_a_device_is_one_file(tree: Tree) -> None:
    assert "slate" in {each["name"] for each in tree.told("list", "devices")}


def test_a_recipe_is_one_file_and_its_first_line_its_summary(tree: Tree) -> None:
    shown = {each["name"]: each for each in tree.told("list", "pipelines")}
    assert shown["tiny-on-slate"]["summary"] == "The smallest network on the slate."


def test_a_plan_has_the_new_network_on_the_new_device_in_the_new_runtime(tree: Tree) -> None:
    plan = tree.told("plan", "tiny-on-slate")
    assert plan["resolved"]["arch"]["name"] == "lenet-5-tall"
    assert {"onnxruntime-fp32", "abacus-fp32"} <= {step["candidate"] for step in plan["steps"] if step["candidate"]}


def test_lists_the_doctor_charts_and_components_know_a_runtime_by_its_module_alone(tree: Tree) -> None:
    assert "abacus>=1" in next(row for row in tree.told("list", "runtimes") if row["name"] == "abacus")["needs"]
    known = tree.answer(
        "import json\n"
        "from edgecnn.bundle.sbom import _package_component\n"
        "from edgecnn.devices.doctor.parts import PARTS, addition_of\n"
        "from edgecnn.render.page.charts.vega import runtime_dashes\n"
        "row = next(row for row in PARTS if row.name == 'abacus')\n"
        "print(json.dumps({\n"
        "    'doctor': [row.kind, row.adds, addition_of(row).measured],\n"
        "    'chart': runtime_dashes(['abacus']).to_dict()['scale']['range'],\n"
        "    'components': [licence.id for licence in _package_component('abacus').licenses],\n"
        "}))"
    )
    assert known == {
        "doctor": ["runtime", "beads", "not measured: made of wood"],
        "chart": [[9, 9]],
        "components": ["0BSD"],
    }


@pytest.mark.slow  # mypy without a cache
def test_a_runtime_that_lacks_a_member_does_not_type_check(tree: Tree) -> None:
    members = [name for name in vars(Backend) if not name.startswith("_")]
    lines = ["from typing import Any", "from edgecnn.runtimes.protocol import Backend"]
    for lacking in ("nothing", *members):
        lines += [f"class Without_{lacking}(Backend):", *(f"    {name}: Any = None" for name in members if name != lacking)]
        lines += [f"Without_{lacking}()"]
    tree.write("edgecnn/runtimes/lacking.py", "\n".join(lines) + "\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "edgecnn/runtimes/lacking.py"]
    done = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)
    (tree.root / "edgecnn/runtimes/lacking.py").unlink()
    refused = re.findall(r'Cannot instantiate abstract class "Without_(\w+)" with abstract attribute "(\w+)"', done.stdout)
    assert refused == [(name, name) for name in members], done.stdout


def test_a_metric_and_a_percentile_can_be_bounded_and_a_misspelt_one_cannot(tree: Tree) -> None:
    assert tree.run("plan", "tiny-on-slate", "--max", "opening_ms=9", "--max", "p95_ms=9", "--json").returncode == 0
    refused = tree.run("plan", "tiny-on-slate", "--max", "p96_ms=9", "--json")
    assert refused.returncode == 2
    assert {"opening_ms", "p95_ms"} <= set(refused.stderr.replace(",", " ").split())


ASKED = """
import json, tempfile
from pathlib import Path

from PIL import Image

from edgecnn.data.formats.registry import readable_formats, has_own_order, is_list
from edgecnn.data.manifest import summarize
from edgecnn.data.role_folders import write_role_folders
from edgecnn.devices.check.findings import Needs, findings_on
from edgecnn.devices.check.reading import facts_of
from edgecnn.errors.base import EdgecnnError
from edgecnn.judging.gates import Gate, runs_for
from edgecnn.judging.metrics import METRICS
from edgecnn.judging.latency import latency
from edgecnn.judging.resources import METERS
from edgecnn.render.columns import columns_of, tracked_numbers
from edgecnn.render.markdown import report_markdown
from edgecnn.render.page.report import candidate_rows
from edgecnn.render.progress import Quiet
from edgecnn.render.sentences import latency_lines
from edgecnn.runner.machine.environment import read_environment
from edgecnn.render.tracking import open_tracker
from edgecnn.values.recipe import DataChoice
from tests.devices.check.recorded import READY, recorded
from tests.judging.made import a_gate, a_race, a_latency, an_interval
from tests.render.reports import a_report, a_row


def refused(call, *given):
    try:
        return repr(call(*given))
    except EdgecnnError as error:
        return error.line()


root = Path(tempfile.mkdtemp())
for name in ("cat", "dog"):
    (root / "photos" / name).mkdir(parents=True)
    for number in range(12):
        Image.new("RGB", (8, 8), (number, 100 if name == "cat" else 0, 0)).save(root / "photos" / name / f"{number}.png")
(root / "pets.beads").write_text("")
beads = DataChoice(path=str(root / "pets.beads"))
(root / "sys/abacus").mkdir(parents=True)
(root / "sys/abacus/beads").write_text("1")
race = a_race([1.0] * 17, samples=1000)
row = a_row(latency=a_latency(an_interval(2.0), first_ms=an_interval(7.25)))
board = recorded(READY, {"refused": {"sys/abacus/beads": "closed"}})
print(json.dumps({
    "format": {
        "reads": readable_formats(),
        "is_list": is_list(Path(beads.path)),
        "own_order": has_own_order(beads.path),
        "classes": summarize(beads, root / "store", Quiet()).classes,
        "divided": refused(write_role_folders, beads, root / "out", root / "store", Quiet()),
        "unlabelled": refused(summarize, beads.model_copy(update={"labels": False}), root / "store", Quiet()),
    },
    "meter": {
        "opened": "abacus" in read_environment(root=root)["observed"]["energy_meters"].split(),
        "judged_first": next(iter(METERS)),
        "finding": next(each.remedy for each in findings_on(facts_of(board), Needs(runtimes={})) if each.ref == "beads-closed"),
    },
    "percentile": {
        "p95_ms": latency(race).p95_ms.estimate,
        "tail": latency(race).tails_within_ms["p95_ms"],
        "patient": runs_for([a_gate("p95_ms", 20.0)]).tails,
        "metric": METRICS["p95_ms"].title,
        "said": latency_lines([a_row(latency=latency(race))])[0],
    },
    "tracker": {"opened": open_tracker("slate:here").shown, "refused": refused(open_tracker, "board:there")},
    "column": {
        "markdown": report_markdown(a_report(row)),
        "page": [column.title for column in columns_of([row], "page")],
        "cells": [cell.text for cell in candidate_rows(a_report(row))[0].cells],
        "tracked": tracked_numbers(row)["first_ms"].value.estimate,
    },
}))
"""


@pytest.fixture(scope="module")
def answers(tree: Tree) -> Any:
    done = tree.python("-c", ASKED)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_data_format_is_read_named_and_refused_where_it_must_be(answers: Any) -> None:
    answer = answers["format"]
    assert "a string of beads" in answer["reads"]
    assert answer["is_list"] and answer["own_order"] and answer["classes"] == ["cat", "dog"]
    assert "[table-not-divided]" in answer["divided"] and "[list-without-labels]" in answer["unlabelled"]


def test_a_meter_is_opened_judged_by_its_coverage_and_its_remedy_is_a_finding(answers: Any) -> None:
    assert answers["meter"] == {"opened": True, "judged_first": "abacus", "finding": "open /sys/abacus"}


def test_a_percentile_is_measured_gated_patiently_and_shown(answers: Any) -> None:
    answer = answers["percentile"]
    assert (answer["p95_ms"], answer["tail"], answer["patient"]) == (1.0, 1.0, True)
    assert answer["metric"] == "95th percentile of latency" and "p95 1.00" in answer["said"]


def test_a_tracker_is_opened_by_its_scheme_and_named_in_the_error(answers: Any) -> None:
    assert answers["tracker"]["opened"] == "slate:here"
    assert "the known trackers are slate and mlflow" in answers["tracker"]["refused"]
    assert "slate: and a place" in answers["tracker"]["refused"]


def test_a_column_stands_in_markdown_on_the_page_and_in_a_tracker(answers: Any) -> None:
    answer = answers["column"]
    assert "| first ms |" in answer["markdown"] and "| 7.25 [" in answer["markdown"]
    assert "first" in answer["page"] and any(text.startswith("7.25") for text in answer["cells"])
    assert answer["tracked"] == 7.25


def test_a_percentile_without_its_field_fails_at_import_with_its_name(tree: Tree) -> None:
    values = tree.root / "edgecnn/values/report.py"
    whole = values.read_text(encoding="utf-8")
    values.write_text(whole.replace("(MEDIAN, 90, 95, 99)", "(MEDIAN, 75, 99)"), encoding="utf-8")
    done = tree.python("-c", "import edgecnn.values.report")
    values.write_text(whole, encoding="utf-8")
    assert done.returncode == 1 and "Latency has no field p75_ms" in done.stderr


@pytest.mark.parametrize(
    ("make", "lacks"),
    [
        (lambda: DataFormat("beads", "list", "refuses", False, str.isupper), "lay_out"),  # type: ignore[call-arg]
        (lambda: MeterKind("abacus", 0, MACHINE, None, ()), "closed"),  # type: ignore[call-arg]
        (lambda: TrackerKind("slate", ("slate",), "slate: and a place"), "open"),  # type: ignore[call-arg]
        (lambda: Column("first_ms", "first ms", "first", "ms", 12, "any", frozenset()), "cell"),  # type: ignore[call-arg]
    ],
)
def test_a_row_without_a_required_member_fails_with_the_member_s_name(make: Callable[[], object], lacks: str) -> None:
    with pytest.raises(TypeError, match=lacks):
        make()
