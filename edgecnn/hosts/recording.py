"""Asks a machine, near or far, what it is; and lays what it said out as a folder, where the runner's own readers read it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from edgecnn.errors.host import RecordingUnusable
from edgecnn.hosts.ssh.link import Link, in_shell
from edgecnn.values.board import Recording

RECORDER = Path(__file__).with_name("recorder.py")
HERE = "this machine"
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
"""Where the kernel of a Raspberry Pi shows what its command says too."""
_TIMEOUT_S = 120
_LAST_LINES = 3

AskPython = Callable[[bytes], tuple[str, str]]
"""Gives a program to a machine's Python on its standard input; what it said on standard output, and on standard error."""


def record(board: str, ask: AskPython) -> Recording:
    """What this machine says of itself.

    Raises:
        RecordingUnusable: its Python is absent or older than 3.6, or something else answered.
    """
    stdout, stderr = ask(RECORDER.read_bytes())
    try:
        return Recording.model_validate(json.loads(stdout.strip().splitlines()[-1]))
    except (ValueError, IndexError, ValidationError) as error:
        lines = [line.strip() for line in (stderr or stdout).splitlines() if line.strip()]
        said = " | ".join(lines[-_LAST_LINES:])[:500]
        raise RecordingUnusable(board=board, said=said or "it said nothing") from error


def record_here() -> Recording:
    """This machine, with the Python that runs edgecnn."""

    def ask(program: bytes) -> tuple[str, str]:
        done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, timeout=_TIMEOUT_S, check=False)
        return done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    return record(HERE, ask)


def record_board(link: Link, python: str) -> Recording:
    """The machine at the other end of a link. Nothing is left there.

    Raises:
        RecordingUnusable: see ``record``.
        LinkLost: the connection ended meanwhile.
    """

    def ask(program: bytes) -> tuple[str, str]:
        answer = link.ask(f"exec {in_shell(python)} -", given=program, timeout_s=_TIMEOUT_S)
        return answer.text, answer.stderr

    return record(link.board, ask)


def unfold(recording: Recording, root: Path) -> Path:
    """Write the recorded files below ``root``, an existing folder; names that would leave it are not written.

    What a Raspberry Pi's firmware said is put where its kernel shows it, so that no command is run to read it again.
    """
    texts = dict(recording.files)
    flags = recording.commands.get("get_throttled")
    if flags is not None:
        texts[_THROTTLED] = flags.partition("=")[2]
    for name, text in texts.items():
        parts = PurePosixPath(name).parts
        if not name.startswith("/") and parts and ".." not in parts and "\0" not in name:
            path = root.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="replace")
    return root
