"""Query a Raspberry Pi's firmware by its command: on newer boards, no file has its readings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple, Optional

from .procfs import ROOT

_PLACES = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd")
_TIMEOUT_S = 5.0


class Reply(NamedTuple):
    """The output of the command, or the reason why there is none."""

    text: Optional[str]
    why: Optional[str]


def vcgencmd(question: str, root: Path = ROOT) -> Reply:
    """Run one query, such as ``get_throttled``.

    Args:
        question: the command's only argument.
        root: the folder of ``usr`` and ``opt``.
    """
    command = next((root / place for place in _PLACES if os.access(str(root / place), os.X_OK)), None)
    if command is None:
        return Reply(None, "vcgencmd is not installed: this is not a Raspberry Pi")
    try:
        process = subprocess.run(
            [str(command), question],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Reply(None, "vcgencmd {}: {}".format(question, error))
    text = process.stdout.decode("utf-8", "replace").strip()
    if process.returncode != 0 or not text or text.startswith("error="):
        return Reply(None, "vcgencmd {}: {}".format(question, " ".join(text.split()) or "no answer"))
    return Reply(text, None)
