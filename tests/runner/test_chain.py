"""End to end is a picture file in and logits out, and takes longer than the network alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgecnn.runner.classifier import golden_photo, run_on_file
from edgecnn.runner.feeds import feed_of
from edgecnn.runner.kit import Kit
from edgecnn.runner.pixels import decode, to_pixels
from edgecnn.runner.runs.schedule import bench
from edgecnn.runner.sessions import open_session
from tests.runner.conftest import CopyKit
from tests.runner.kits import rewrite_manifest
from tests.runner.processes import schedule_of


def run_of(kit: Path, tmp_path: Path, **settings: Any) -> dict[str, Any]:
    bench(schedule_of(tmp_path / "s.json", kit, **settings), tmp_path / "out")
    run: dict[str, Any] = json.loads((tmp_path / "out/run-00000.json").read_text())
    return run


def test_the_chain_answers_as_its_parts_do(onnx_kit: Path) -> None:
    kit = Kit.open(onnx_kit)
    session = open_session(kit, batch=1)
    path, what = golden_photo(kit)
    pixels = to_pixels(decode(path), kit.manifest.recipe)[None]
    assert np.array_equal(run_on_file(kit, session, path)["logits"], session.run(feed_of(kit, pixels))["logits"])
    assert what == f"JPEG of 56 x 40 pixels and {path.stat().st_size:,} bytes"


def test_each_call_reads_and_decodes_anew(copy_kit: CopyKit, tmp_path: Path) -> None:
    """A large picture costs a call what decoding it costs."""
    kit = copy_kit()
    alone = run_of(kit, tmp_path / "alone") if not (tmp_path / "alone").mkdir() else {}
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(kit / "golden/photo.jpg", quality=95)
    rewrite_manifest(kit, lambda manifest: None)
    whole = run_of(kit, tmp_path, end_to_end=True)
    assert whole["picture"].startswith("JPEG of 1200 x 900 pixels and ")
    assert alone["picture"] is None
    assert min(whole["samples_ns"]) > 5_000_000 > min(alone["samples_ns"])
    assert whole["first_ns"] > 5_000_000
    assert whole["output_sha256"] == alone["output_sha256"], "of the same golden picture, whatever is timed"


def test_a_kit_without_a_photo_says_so(copy_kit: CopyKit, tmp_path: Path) -> None:
    kit = copy_kit()
    rewrite_manifest(kit, lambda manifest: manifest["golden"].update(jpeg=None))
    error = run_of(kit, tmp_path, end_to_end=True)["error"]
    assert (error["ref"], error["what"]) == ("no-golden-photo", "small-onnxruntime: has no JPEG to decode")
