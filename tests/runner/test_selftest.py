"""Through the command line of an edited copy, resealed so that its hashes agree: only the golden set can notice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.conftest import CopyKit
from tests.runner.kits import rewrite_manifest
from tests.runner.processes import edit, error_of, runner


@pytest.mark.parametrize("which", ["onnx_kit", "openvino_kit"])
def test_a_kit_passes_its_own_selftest(request: pytest.FixtureRequest, which: str) -> None:
    kit: Path = request.getfixturevalue(which)
    status, last = runner(kit, "selftest")
    assert status == 0 and last["ok"] is True
    assert last["selftest"]["golden_pictures"] == 2
    assert last["selftest"]["logits_difference"] <= last["selftest"]["logits_allowed"]


def test_swapped_channels_in_the_conversion_fail(copy_kit: CopyKit) -> None:
    kit = copy_kit()
    edit(kit, "runner/pixels.py", "plane[...] = pixels[..., channel]", "plane[...] = pixels[..., 2 - channel]")
    assert error_of(kit, "selftest") == "golden-feed-differs"


def test_swapped_channels_in_the_decoder_fail(copy_kit: CopyKit) -> None:
    kit = copy_kit()
    made = "image.crop((left, top, left + recipe.crop_px.width_px, top + recipe.crop_px.height_px))"
    edit(kit, "runner/pixels.py", f"np.array({made})", f"np.array({made})[..., ::-1].copy()")
    assert error_of(kit, "selftest") == "golden-pixels-differ"


def test_bilinear_in_the_manifest_fails(copy_kit: CopyKit) -> None:
    kit = copy_kit()
    rewrite_manifest(kit, lambda manifest: manifest["preprocessing"]["pixels"].update(interpolation="bilinear"))
    assert error_of(kit, "selftest") == "golden-pixels-differ"


def test_bilinear_in_the_code_fails(copy_kit: CopyKit) -> None:
    kit = copy_kit()
    edit(kit, "runner/pixels.py", '"bicubic": _RESAMPLING.BICUBIC', '"bicubic": _RESAMPLING.BILINEAR')
    assert error_of(kit, "selftest") == "golden-pixels-differ"


def test_an_edit_that_was_not_resealed_fails_on_its_hash(copy_kit: CopyKit) -> None:
    kit = copy_kit()
    with (kit / "runner/pixels.py").open("a") as code:
        code.write("\n")
    assert error_of(kit, "selftest") == "kit-file-changed"


def test_the_kit_needs_nothing_of_the_package_that_made_it(onnx_kit: Path, tmp_path: Path) -> None:
    (tmp_path / "edgecnn.py").write_text("raise ImportError('a kit imported edgecnn')\n")
    start = "from runner.__main__ import main; sys.exit(main(['selftest', '--json']))"
    code = f"import sys; sys.path.insert(1, {str(tmp_path)!r}); {start}"
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=onnx_kit, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout.splitlines()[-1])["ok"] is True, done.stderr
