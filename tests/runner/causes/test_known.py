"""A file whose bytes show what happened to it is told so, with a command that helps."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

from edgecnn.runner.causes import cause_in, cause_of_change
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.pixels import UNSUPPORTED_FORMAT, UnreadableImage, decode
from tests.runner.conftest import CopyKit

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 14\n"
BINARY = "copy or unpack it again as binary: unzip without -a, FTP in binary mode"


def crlf_copy(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def lf_copy(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n")


def refusal(kit: Path) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        Kit.open(kit).verify_files()
    return caught.value


@pytest.mark.parametrize(
    ("name", "change", "why", "fix"),
    [
        ("model.onnx", lambda _: POINTER, "it is a Git LFS pointer, not the file itself", "git lfs pull"),
        ("runner/kit.py", crlf_copy, "its line endings were converted, as if it were text", BINARY),
        ("golden/card.png", lf_copy, "its line endings were converted, as if it were text", BINARY),
        ("golden/card.png", lambda content: content[:-1], None, "copy the kit again, or package it again"),
    ],
)
def test_a_kit_names_the_cause_of_a_changed_file(
    copy_kit: CopyKit, name: str, change: Callable[[bytes], bytes], why: str | None, fix: str
) -> None:
    kit = copy_kit()
    (kit / name).write_bytes(change((kit / name).read_bytes()))
    error = refusal(kit)
    assert (error.ref, error.what, error.hint) == ("kit-file-changed", f"{name}: not the file that was packaged", fix)
    assert error.because is not None
    assert why in (None, error.because)


@pytest.mark.parametrize("name", ["runner/._kit.py", "__MACOSX/runner/kit.py"])
def test_a_kit_names_the_tool_that_left_code_and_the_command_removes_it(copy_kit: CopyKit, name: str) -> None:
    kit = copy_kit()
    (kit / name).parent.mkdir(parents=True, exist_ok=True)
    (kit / name).write_bytes(b"\x00\x05\x16\x07")
    error = refusal(kit)
    assert (error.ref, error.because is None) == ("kit-file-unlisted", False)
    subprocess.run(str(error.hint), shell=True, check=True)  # noqa: S602 - as a user would paste it
    assert Kit.open(kit).verify_files() > 0


def test_line_endings_are_recognised_across_blocks() -> None:
    import hashlib

    content = b"x" * ((1 << 16) - 1) + b"\nlast\n"
    wanted = len(content), hashlib.sha256(content).hexdigest()
    converted = crlf_copy(content)  # a carriage return ends the first block
    assert cause_of_change(lambda: io.BytesIO(converted), len(converted), wanted, None) is not None
    assert cause_of_change(lambda: io.BytesIO(converted + b"x"), len(converted) + 1, wanted, None) is None


@pytest.mark.parametrize("content", [b"x", None], ids=["truncated", "of the right size"])
def test_a_file_that_cannot_be_read_was_changed_and_is_no_fault_of_the_runner(
    content: bytes | None, copy_kit: CopyKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit, opened = copy_kit(), os.open
    if content is not None:
        (kit / "model.onnx").write_bytes(content)

    def open_others(path: Any, *words: Any, **named: Any) -> Any:
        if Path(path).name == "model.onnx":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *words, **named)

    monkeypatch.setattr(os, "open", open_others)
    error = refusal(kit)
    assert error.ref == "kit-file-changed"
    assert (error.because or "").startswith("it cannot be read: Permission denied" if content is None else "1 bytes here, ")


def picture(kind: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("as_path", [True, False])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (POINTER, "it is a Git LFS pointer, not the file itself: git lfs pull"),
        (crlf_copy(picture("PNG")), f"its line endings were converted, as if it were text: {BINARY}"),
        (lf_copy(picture("PNG")), f"its line endings were converted, as if it were text: {BINARY}"),
        (b"a note\r\n" * 40, UNSUPPORTED_FORMAT),
    ],
)
def test_an_image_names_the_cause(content: bytes, why: str, as_path: bool, tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(content)
    with pytest.raises(UnreadableImage) as caught:
        decode(tmp_path / "photo" if as_path else io.BytesIO(content))
    assert caught.value.why == why


def test_a_converted_jpeg_is_recognised_and_a_whole_one_is_not() -> None:
    assert cause_in(crlf_copy(picture("JPEG"))) is not None
    assert cause_in(picture("JPEG")) is None


_LACKING = """
import io, sys
sys.modules[{module!r}] = None
from edgecnn.runner.pixels import UnreadableImage, decode
try:
    decode(io.BytesIO(sys.stdin.buffer.read()))
except UnreadableImage as error:
    print(error.why)
"""


@pytest.mark.parametrize(
    ("kind", "module", "name"),
    [("WEBP", "PIL._webp", "WebP"), ("AVIF", "PIL._avif", "AVIF"), ("AVIF", "PIL.AvifImagePlugin", "AVIF")],
)
def test_a_format_that_this_pillow_has_no_decoder_for_is_named(kind: str, module: str, name: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _LACKING.format(module=module)]
    done = subprocess.run(command, input=picture(kind), capture_output=True, check=True)
    why = done.stdout.decode().strip()
    assert why.startswith(f"it is in the {name} format, and the installed Pillow ")
    assert why.endswith(" was built without it: pip install --force-reinstall --only-binary :all: pillow")


_OLD_PILLOW = """
import io, sys
from PIL import Image, features
del features.modules["avif"]
if {has_plugin}:
    Image.init()
else:
    sys.modules["PIL.AvifImagePlugin"] = None
sys.version_info = {python}
from edgecnn.runner.causes import why_no_image
print(why_no_image(io.BytesIO(sys.stdin.buffer.read()), "damaged"))
"""


@pytest.mark.parametrize(
    ("has_plugin", "python", "why"),
    [
        (False, (3, 9), " cannot read AVIF images: pip install 'pillow>=11.3'"),
        (False, (3, 8), " cannot read AVIF images: convert the image to PNG or JPEG"),
        (True, (3, 8), "damaged"),
    ],
)
def test_a_pillow_from_before_avif_is_named_without_a_warning(has_plugin: bool, python: tuple[int, int], why: str) -> None:
    program = _OLD_PILLOW.format(has_plugin=has_plugin, python=python)
    command = [sys.executable, "-W", "error:Unknown feature", "-c", program]
    done = subprocess.run(command, input=picture("AVIF"), capture_output=True, check=True)
    assert done.stdout.decode().strip() == (why if has_plugin else f"Pillow {PIL.__version__}{why}")


def test_a_damaged_webp_is_no_fault_of_pillow() -> None:
    with pytest.raises(UnreadableImage) as caught:
        decode(io.BytesIO(picture("WEBP")[:200]))
    assert "Pillow" not in caught.value.why
