"""Starts runners as a person would, and edits kits so that they misbehave for real."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.runner.kits import rewrite_manifest

HANG = "import time\ntime.sleep(600)\n"
IMPORT = "import onnxruntime  # noqa: E402\n"
CRASH = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"


def runner(kit: Path, *argv: str, executable: str = sys.executable) -> tuple[int, dict[str, Any]]:
    """Exit status and last line of a runner in a kit's folder."""
    done = subprocess.run(
        [executable, "-B", "-m", "runner", *argv, "--json"], cwd=kit, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def error_of(kit: Path, *argv: str) -> str:
    """``ref`` of the error that this command ends with."""
    status, last = runner(kit, *argv)
    assert status == 1 and last["ok"] is False, last
    return str(last["error"]["ref"])


def misbehave(kit: Path, code: str) -> None:
    """Let the kit's session module run this when it is imported, and hash the kit anew."""
    module = kit / "runner/sessions/onnxruntime_cpu.py"
    source = module.read_text()
    assert source.count(IMPORT) == 1
    module.write_text(source.replace(IMPORT, IMPORT + code))
    rewrite_manifest(kit, lambda manifest: None)


def edit(kit: Path, file: str, old: str, new: str) -> None:
    """Replace text in one of the kit's files, and hash the kit anew."""
    path = kit / file
    text = path.read_text()
    assert old in text, f"{file} no longer says {old!r}"
    path.write_text(text.replace(old, new))
    rewrite_manifest(kit, lambda manifest: None)


def processes_about(what: str) -> list[int]:
    """Ids of living processes whose command line holds this text; the dead that nobody has waited for yet do not count."""
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has ended meanwhile
            if what in command:
                pids.append(int(entry.name))
    return pids


def wait_until(holds: Any, seconds: float = 20.0) -> bool:
    """Whether ``holds()`` became true within that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return bool(holds())


def schedule_of(path: Path, *kits: Path, timeout_s: float = 30.0, **settings: Any) -> Path:
    """A schedule with one short run of each kit."""
    items = [
        {"kit": str(kit), "round": 0, "position": position, "samples": 20, "warmup_s": 0.01} | settings
        for position, kit in enumerate(kits)
    ]
    path.write_text(json.dumps({"schema": "edgecnn.schedule/1", "timeout_s": timeout_s, "items": items}))
    return path
