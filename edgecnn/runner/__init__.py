"""The program that measures kits, here and on a board. Each kit contains a copy, named ``runner``.

It needs Python 3.8, the standard library, NumPy, Pillow and one runtime. Imports are relative and use nothing of edgecnn, so that
a kit needs only its own folder.
"""

# Older Pythons read this file before they fail on the syntax of another, so everything before the imports is Python 2.7.
import sys

OLDEST_PYTHON = (3, 8)
if sys.version_info < OLDEST_PYTHON:
    sys.exit(
        "runner: error: this is Python %d.%d, but the runner needs Python %d.%d or later [python-too-old]"
        % (sys.version_info[:2] + OLDEST_PYTHON)
    )


def _write_no_byte_code():  # type: () -> None
    from pathlib import Path

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
