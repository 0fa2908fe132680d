"""What a session costs the process that holds it: threads as many as asked, and memory that is given back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.runner.kit import Kit
from edgecnn.runner.packages import runs_on_gpu
from edgecnn.runner.runs.processes import clean_environment

THREADS = """
import os, sys
from pathlib import Path
from runner.feeds import feed_of
from runner.golden import golden_pixels
from runner.kit import Kit
from runner.sessions import load_runtime, open_session
kit = Kit.open(Path("."))
load_runtime(kit)
feed = feed_of(kit, golden_pixels(kit)[:1])
before = len(os.listdir("/proc/self/task"))
session = open_session(kit, {"threads": sys.argv[1]}, batch=1)
for _ in range(20):
    session.run(feed)
print(len(os.listdir("/proc/self/task")) - before)
"""
ROUNDS, WARM = 12, 4
MEMORY = """
import gc, resource, sys
from pathlib import Path
from runner.feeds import feed_of
from runner.golden import golden_pixels
from runner.kit import Kit
from runner.sessions import open_session
kit = Kit.open(Path("."))
feed = feed_of(kit, golden_pixels(kit)[:1])
closed = []  # a session that is closed holds nothing, whoever still holds the session
def held():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
for number in range(int(sys.argv[1])):
    if number == int(sys.argv[2]):
        before = held()
    session = open_session(kit, batch=1)
    session.run(feed)
    session.close()
    closed.append(session)
print(held() - before)
"""


def says(kit: Path, code: str, *argv: str) -> int:
    """The number that a program prints in a fresh process of the kit."""
    environment = dict(clean_environment(kit), OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, *argv], cwd=kit, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout.split()[-1])


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_two_threads_are_one_more_than_one(kit: Path) -> None:
    if runs_on_gpu(Kit.open(kit).manifest.session.module):
        pytest.skip("this session computes on a GPU, and threads of the processor are not its to choose")
    if Kit.open(kit).manifest.session.module.endswith("_browser"):
        pytest.skip("its threads are a browser's, in other processes")
    one, two = (says(kit, THREADS, threads) for threads in ("1", "2"))
    assert two == one + 1


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is read from /proc")
def test_a_closed_session_gives_its_memory_back(kit: Path) -> None:
    """Of a session that kept its weights, eight more would be held; less than half of that may be seen."""
    manifest = json.loads((kit / "kit.json").read_text())
    weights = sum((kit / name).stat().st_size for name in manifest["model"]["files"])
    assert says(kit, MEMORY, str(ROUNDS), str(WARM)) < 0.5 * (ROUNDS - WARM) * weights
