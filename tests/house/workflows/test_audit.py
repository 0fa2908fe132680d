"""The scheduled check of dependencies asks about the newest and the oldest versions, and is green only where both are clean."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.house.source_tree import ROOT
from tests.house.workflows.actions import read_block_yaml

PYTHON = """#!/bin/sh
# `python3 -m venv FOLDER`, whose commands write down how they were called
mkdir -p "$3/bin"
for name in pip uv pip-audit; do cp "$STUBS/$name" "$3/bin/$name"; done
"""
UV = """#!/bin/sh
echo "$@" >> "$SAID"
"""
AUDIT = """#!/bin/sh
echo "$@" >> "$SAID"
case "$*" in *"/$VULNERABLE.txt") exit 1;; esac
"""


@pytest.mark.parametrize("vulnerable, status", [("none", 0), ("highest", 1), ("lowest-direct", 1)])
def test_it_fails_where_either_end_of_the_ranges_is_vulnerable(vulnerable: str, status: int, tmp_path: Path) -> None:
    for name, text in {"python3": PYTHON, "pip": "#!/bin/sh\n", "uv": UV, "pip-audit": AUDIT}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    said = tmp_path / "said"
    surroundings = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "STUBS": str(tmp_path),
        "SAID": str(said),
        "VULNERABLE": vulnerable,
    }
    done = subprocess.run([str(ROOT / ".ci" / "audit")], env=surroundings, capture_output=True, text=True, check=False)
    calls = said.read_text().splitlines()
    assert done.returncode == status, done.stderr
    assert [line.partition("--resolution ")[2].split()[0] for line in calls if "pip compile" in line] == [
        "highest",
        "lowest-direct",
    ]
    audits = [line for line in calls if "pip compile" not in line]
    assert len(audits) == 2
    assert all("--strict" in line for line in audits), "a package that PyPI does not know would pass"


def test_it_runs_every_week_and_reads_only() -> None:
    job = read_block_yaml(ROOT / ".github" / "workflows" / "audit.yml")
    assert job["permissions"] == {"contents": "read"}
    assert job["on"]["schedule"]
    assert job["jobs"]["audit"]["steps"][-1] == {"run": ".ci/audit"}
