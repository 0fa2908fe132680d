"""A build that was really made is explained, every candidate of it, without its store and without a heavy import."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.building.builds import Place


def test_a_finished_build_explains_each_of_its_candidates(built_once: Place, tmp_path: Path) -> None:
    shutil.copy(built_once.out / "report.json", tmp_path)
    done = built_once.plain("explain", tmp_path, EDGECNN_STORE=str(tmp_path / "no-store"))
    report = built_once.report()
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "no-store").exists()
    lines = done.stdout.splitlines()
    for row in report["candidates"]:
        place = next(number for number, line in enumerate(lines) if line.partition(" ")[0] == row["candidate"]["id"])
        if row["candidate"]["id"] != report["choice"]["candidate"]:  # the choice's reason stands once, at the top
            assert lines[place + 1] == f"  {row['reason']}"
        assert row["because"]["kind"] in ("taken", "larger", "loses")
    for each in report["unsupported"]:
        assert f"  {each['runtime']}-{each['precision']}: not supported: {each['why']}" in lines
    assert any(line.startswith("  executed: multiply-adds ") for line in lines)
    assert "    to measure: " + report["build"]["command"] + " --soak 60s" in lines


def test_the_reason_stands_in_the_markdown_and_on_the_page_as_it_is_explained(built_once: Place) -> None:
    report = built_once.report()
    markdown = (built_once.out / "report.md").read_text(encoding="utf-8")
    assert all(f"- `{row['candidate']['id']}`: {row['reason']}\n" in markdown for row in report["candidates"])


def test_explaining_imports_nothing_heavy(built_once: Place) -> None:
    heavy = ["torch", "onnx", "onnxruntime", "openvino", "altair", "jinja2"]
    call = f"sys.argv = ['edgecnn', 'explain', {str(built_once.out)!r}, '--json']"
    code = f"import sys; {call}\nfrom edgecnn.cli.main import main\ntry:\n    main()\nfinally:\n"
    code += f"    sys.stderr.write(' '.join(name for name in {heavy!r} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=built_once.environment, cwd=Path.cwd(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["schema"] == "edgecnn.explanation/2"
