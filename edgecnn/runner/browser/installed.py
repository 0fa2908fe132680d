"""Find the browser and its version: ``EDGECNN_BROWSER``, or the first Chromium or Chrome on the path."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Optional

NAMED_BY = "EDGECNN_BROWSER"
INSTALLED_BY = "apt-get install chromium"
"""On Debian and Raspberry Pi OS; others: https://www.chromium.org/getting-involved/download-chromium/"""
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_VERSION = re.compile(r"\b(?:Chromium|Chrome)\D*(\d+(?:\.\d+)+)")
_PATIENCE_S = 60.0


def browser() -> Optional[str]:
    """Return the browser's program, or None."""
    named = os.environ.get(NAMED_BY)
    if named:
        return shutil.which(str(Path(named).expanduser()))
    return next((program for program in map(shutil.which, _PROGRAMS) if program is not None), None)


def no_browser() -> str:
    """Return why there is no browser."""
    named = os.environ.get(NAMED_BY)
    if named:
        return "{} is {}, which is not a program".format(NAMED_BY, named)
    return "{} is not set, and neither Chromium nor Chrome is on the path".format(NAMED_BY)


def browser_version() -> Optional[str]:
    """Return the version, such as ``142.0.7444.59``; None if there is no browser or it prints none."""
    program = browser()
    return None if program is None else _version_of(program)


@lru_cache(maxsize=None)
def _version_of(program: str) -> Optional[str]:
    try:
        output = subprocess.check_output(
            [program, "--version"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_PATIENCE_S
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(output.decode("utf-8", errors="replace"))
    return None if match is None else match.group(1)
