"""Asks a Raspberry Pi's firmware through its own command: what it measures is in no file on newer boards."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple, Optional

from .procfs import ROOT

_PLACES = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd")
_TIMEOUT_S = 5.0


class Said(NamedTuple):
    """``text`` is the answer; where there is none, ``why`` says why not."""

    text: Optional[str]
    why: Optional[str]


def vcgencmd(question: str, root: Path = ROOT) -> Said:
    """One question, such as ``get_throttled``.

    Args:
        question: the command's only argument.
        root: where ``usr`` and ``opt`` are.
    """
    command = next((root / place for place in _PLACES if os.access(str(root / place), os.X_OK)), None)
    if command is None:
        return Said(None, "there is no vcgencmd: this is no Raspberry Pi")
    try:
        done = subprocess.run(
            [str(command), question],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Said(None, "vcgencmd {}: {}".format(question, error))
    text = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode != 0 or not text or text.startswith("error="):
        return Said(None, "vcgencmd {}: {}".format(question, " ".join(text.split()) or "no answer"))
    return Said(text, None)
