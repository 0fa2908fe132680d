"""What measures, here and on a board: it travels inside each kit, where its name is ``runner``.

Python 3.8, the standard library, NumPy, Pillow and one runtime; relative imports only, and nothing of edgecnn, so that a kit
needs no more than its own folder.
"""

from __future__ import annotations

import sys
from pathlib import Path


def _write_no_byte_code() -> None:
    # Byte code is executed, and whoever verifies a bundle refuses what it does not list. This file's own was written before its
    # first line ran.
    sys.dont_write_bytecode = True
    made = Path(str(__spec__.cached))
    try:
        made.unlink()
        made.parent.rmdir()
    except OSError:
        pass  # it could not be written, or other byte code lies there


if __name__ == "runner" and sys.argv[:1] == ["-m"] and not sys.dont_write_bytecode:  # python -m runner, in a kit
    _write_no_byte_code()
