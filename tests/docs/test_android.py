"""The page on Android telephones: what it writes for a program that knows nothing of kits, the golden picture and its answer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.house.source_tree import ROOT
from tests.runner.kits import SIDE, logits_of, make_kit

PAGE = ROOT / "docs/howto/use-an-android-telephone.md"


def test_the_golden_input_and_answer_are_written_as_plain_numbers(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    kit, program = make_kit(tmp_path), tmp_path / "golden.py"
    program.write_text(snippet, encoding="utf-8")
    said = subprocess.check_output(
        [sys.executable, "-B", str(program)], cwd=kit, env={**os.environ, "PYTHONPATH": "."}, text=True
    )
    assert said.startswith(f"1,3,{SIDE},{SIDE} and a difference of 0.")
    assert np.fromfile(kit / "golden-input.bin", np.float32).size == 3 * SIDE * SIDE
    assert np.array_equal(np.fromfile(kit / "golden-answer.bin", np.float32), logits_of(kit)[0])
