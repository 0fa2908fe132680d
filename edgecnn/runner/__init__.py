"""The program that measures kits, here and on a board. Each kit contains a copy, named ``runner``.

It needs Python 3.8, the standard library, NumPy, Pillow and one runtime. Imports are relative and use nothing of edgecnn, so that
a kit needs only its own folder.
"""

from __future__ import annotations

import sys
from pathlib import Path


def _write_no_byte_code() -> None:
    # Byte code is executed, so verification refuses byte code that a bundle does not list. Python wrote this file's byte code
    # before its first line ran.
    sys.dont_write_bytecode = True
    byte_code = Path(str(__spec__.cached))
    try:
        byte_code.unlink()
        byte_code.parent.rmdir()
    except OSError:
        pass  # it could not be written, or the folder has other byte code


if __name__ == "runner" and sys.argv[:1] == ["-m"] and not sys.dont_write_bytecode:  # python -m runner, in a kit
    _write_no_byte_code()
