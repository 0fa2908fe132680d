from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os
from edgecnn.training.settings import sleeping_threads
with sleeping_threads():
    import torch
print(os.environ.get("OMP_WAIT_POLICY"))
"""


@pytest.mark.parametrize(("asked", "policy", "left"), [(None, "PASSIVE", "None"), ("ACTIVE", "ACTIVE", "ACTIVE")])
def test_torchs_threads_sleep_unless_the_user_said_otherwise_and_children_inherit_nothing(
    asked: str | None, policy: str, left: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_DISPLAY_ENV": "TRUE"} | ({} if asked is None else {"OMP_WAIT_POLICY": asked})
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert f"OMP_WAIT_POLICY = '{policy}'" in done.stderr
    assert done.stdout.strip() == left
