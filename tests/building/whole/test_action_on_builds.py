"""The GitHub Action's own command lines, run as GitHub would run them, on a small real build."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import pytest

from tests.building.builds import WORDS, Place
from tests.house.workflows.actions import Job


@pytest.mark.slow  # two builds and two races for comparison
def test_its_command_lines_build_and_judge_a_real_build(built: Place) -> None:
    words = " ".join((*WORDS, "--data", str(built.photos)))
    job = Job(
        built.folder, head=words, base=words, extras="", python=sys.executable, gates="--max drop_pp=100",
        against_gates="--rounds 8 --max latency_ratio=2 --max drop_pp=100", unsure="pass",
    )  # fmt: skip
    assert job.run("Install edgecnn", built.environment) is None
    base = job.run("Build BASE", built.environment)
    assert base is not None
    assert base.returncode == 0, base.stderr
    assert "::" not in base.stderr
    head = job.run("Build HEAD and judge it by itself", built.environment)
    assert head is not None
    assert head.returncode == 0, head.stderr
    judged = job.run("Judge HEAD against BASE", built.environment)
    assert judged is not None
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "- HEAD and BASE ship the same kit, byte for byte" in (built.folder / "summary.md").read_text(encoding="utf-8")
    cases = [case.get("name") for case in ElementTree.parse(built.folder / "builds/against.xml").getroot().iter("testcase")]
    assert cases == ["latency_ratio ≤ 2", "drop_pp ≤ 100"]
    assert (built.folder / "builds/build.xml").is_file()
    assert job.run("Judge HEAD against the pinned build", built.environment) is None, "nothing is pinned"
    assert built.plain("baseline", "pin", "builds/base", "--out", "base.json").returncode == 0
    pinned = Job(
        built.folder, head=words, extras="", python=sys.executable, pinned="base.json",
        against_gates="--rounds 8 --max latency_ratio=2 --max drop_pp=100", unsure="pass",
    )  # fmt: skip
    assert pinned.run("Judge HEAD against BASE", built.environment) is None
    held = pinned.run("Judge HEAD against the pinned build", built.environment)
    assert held is not None
    assert held.returncode == 0, held.stdout + held.stderr
    assert "- BASE is the kit that base.json pins, from the store" in (built.folder / "summary.md").read_text(encoding="utf-8")
    assert (built.folder / "builds/pinned.xml").is_file()
    summary = (built.folder / "summary.md").read_text(encoding="utf-8")
    assert summary.count("### edgecnn: ") == 3, "BASE's own verdict was said on its own commit"
