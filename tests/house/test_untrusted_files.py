"""Every call of a parser or a runtime on a file: in the sandbox, on a file that edgecnn made, or known here with the reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.source_tree import PACKAGE

PARSERS = {
    "zipfile.ZipFile", "tarfile.open", "bounded_zip",
    "torch.load", "torch.jit.load", "torch.export.load", "load_file", "safe_open",
    "onnx.load", "onnx.load_model", "onnx.load_model_from_string", "onnxruntime.InferenceSession",
    "parquet.ParquetFile", "parquet.read_schema", "Image.open", "open_picture",
    "Interpreter", "CompiledModel.from_file", "load_param", "load_model",
}  # fmt: skip
"""Calls that let native code or a decompressor read a file, as they are written."""
SANDBOX = "only in a process that hosts.sandbox started"
OURS = "a file that this build made"
BOUNDED = "a bounded directory of names; contents are not parsed, or only up to a limit"
KNOWN = {
    "bundle/kit_answers.py": SANDBOX,
    "bundle/opening.py": "a bundle's zip: the size of its directory is checked first, and contents are never decompressed",
    "bundle/publishing.py": OURS,
    "data/composing.py": SANDBOX,
    "data/decoded.py": SANDBOX,
    "data/fingerprints.py": SANDBOX,
    "data/formats/archive.py": SANDBOX,
    "data/formats/csv_cells.py": SANDBOX,
    "data/model_metadata.py": BOUNDED,
    "graph/checks.py": "a trunk that this build made, or a custom model in the sandbox",
    "graph/custom/file.py": SANDBOX,
    "graph/custom/form.py": "names in the build, contents in the sandbox; the directory is bounded",
    "graph/custom/onnx_entry.py": SANDBOX,
    "graph/custom/torch_model.py": SANDBOX,
    "graph/custom/torchscript.py": SANDBOX,
    "graph/export.py": OURS,
    "graph/onnx_cost.py": SANDBOX,
    "graph/onnx_file.py": "a trunk that this build made, or a custom model in the sandbox",
    "hosts/ssh/far.py": "on a board: a stream of this edgecnn, each part compared with its SHA-256",
    "hosts/unpacker.py": "on a board: wheels that pip downloaded",
    "models/foreign_files.py": BOUNDED,
    "models/networks.py": SANDBOX,
    "models/weights_file.py": BOUNDED,
    "render/page/charts/vega.py": OURS,
    "runner/classifier.py": "the runner, which predict and bench start in a sandbox for kits from elsewhere",
    "runner/pixels.py": "the one place that opens images; its callers are listed here",
    "runner/sessions/litert_cpu.py": "the runner",
    "runner/sessions/ncnn_cpu.py": "the runner",
    "runner/sessions/onnxruntime_cpu.py": "the runner",
    "runtimes/litert_program.py": OURS,
    "runtimes/ncnn_reference.py": OURS,
    "runtimes/onnxruntime_web.py": "ONNX Runtime Web, whose SHA-512 is pinned",
    **dict.fromkeys(
        ("forecast/timing.py", "graph/feature_maps.py", "graph/ranges.py", "runtimes/litert_files.py", "runtimes/ranking.py")
        + ("runtimes/litert_writer/writer.py", "runtimes/onnxruntime_files.py", "runtimes/openvino_files.py", "runtimes/torch.py")
        + ("runtimes/tensorrt_files.py", "studies/look.py", "training/aware.py", "training/parallel/worker.py", "training/run.py")
        + ("training/surgery.py",),
        OURS,
    ),
    "graph/macs.py": "a trunk that this build made, or a custom model in the sandbox",
    "hosts/ssh/files.py": "writes a stream",
    "runner/sessions/torch_gpu.py": "the runner",
    "store/disk.py": "the helper that bounds the directory of a zip",
    "studies/ensemble.py": OURS,
    "training/checkpoint.py": OURS,
    "training/heads.py": OURS,
}
"""File to the reason why its calls are safe enough. ``docs/concepts/untrusted-files.md`` says what is outside the sandbox."""
STARTED_BY = {"hosts/sandbox.py", "hosts/ssh/host.py"}
"""The modules that start ``hosts/restrict.py``."""


def _calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            yield from (parser for parser in PARSERS if name == parser or name.endswith(f".{parser}"))


def _modules() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_every_file_that_calls_a_parser_is_known_with_its_reason() -> None:
    calling = {name for name, tree in _modules() if any(_calls(tree))}
    assert calling - KNOWN.keys() == set(), "call it through hosts.sandbox, or state here why not"
    assert KNOWN.keys() - calling == set(), "no longer calls a parser"


def test_one_place_starts_sandboxed_processes() -> None:
    starting = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bRESTRICT\b|hosts import restrict\b", path.read_text(encoding="utf-8"))
    }
    assert starting == STARTED_BY


def test_the_page_about_untrusted_files_names_the_verbs() -> None:
    page = (Path(PACKAGE).parent / "docs/concepts/untrusted-files.md").read_text(encoding="utf-8")
    for verb in ("predict", "bundle serve", "bench", "judge", "loadgen", "plan", "build", "export", "cost", "forecast"):
        assert f"`{verb}`" in page
