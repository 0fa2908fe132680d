"""The ncnn session where ncnn is installed; the conformance suite runs its kits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runner.conftest import CopyKit
from tests.runner.kits import rewrite_manifest

NETWORK = """7767517
6 7
Input in0 0 1 in0
Convolution c 1 1 in0 a 0=10 1=3 5=0 6=270
Split s 1 2 a b d
Padding p 1 1 b e 0=200 1=200 2=200 3=200
Interp i 1 1 e f 0=2 1=16.0 2=16.0
Interp j 1 1 f out0 0=2 1=16.0 2=16.0
"""
"""Its last layer needs more memory than there is, while the extractor holds what the others made."""
CALLS = """
import gc, sys
from pathlib import Path
import numpy as np
from runner.messages import RunnerError
from runner.kit import Kit
from runner.sessions import open_session
session = open_session(Kit.open(Path(sys.argv[1])), {"threads": "1"})
try:
    session.run({"in0": np.zeros((1, 3, 32, 32), np.float32)})
except RunnerError as error:
    kept = error
session.close()
print(kept.ref)
del kept
gc.collect()
"""


def test_a_refused_call_does_not_crash_when_its_error_is_dropped(copy_kit: CopyKit) -> None:
    pytest.importorskip("ncnn", reason="needs the extra ncnn")
    kit: Path = copy_kit()
    (kit / "model.param").write_text(NETWORK)
    (kit / "model.bin").write_bytes(bytes(200_000))

    def described(facts: dict[str, Any]) -> None:
        facts["session"] = {"module": "ncnn_cpu", "options": {}}
        facts["model"].update(entry="model.param", files=["model.bin", "model.param"])
        facts["model"]["input"]["name"], facts["model"]["output"]["name"] = "in0", "out0"

    rewrite_manifest(kit, described)
    done = subprocess.run([sys.executable, "-c", CALLS, str(kit)], cwd=kit, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "runtime-refused-feed\n"), done.stderr
