"""The error of a runner that was started by its path: only `-m` makes its files one package."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path


def refuse() -> int:
    """Print the error, with this call's command in the right form, as the last line; return the exit code."""
    kit = Path(__file__).resolve().parents[2]
    verb, words = sys.argv[1:2], sys.argv[2:]
    words = [os.path.realpath(word) if os.path.exists(word) else word for word in words]  # noqa: PTH110 - False of a long word
    command = " ".join(map(shlex.quote, [sys.executable or "python3", "-m", "runner", *verb, *words]))
    error = {
        "ref": "started-by-path",
        "what": "the runner was started by its path",
        "because": "Python finds its files only as the package `runner`",
        "hint": "cd {} && {}".format(shlex.quote(str(kit)), command),
        "missing": False,
    }
    print(json.dumps({"ok": False, "error": error}, sort_keys=True), flush=True)
    return 1
