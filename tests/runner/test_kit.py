from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from tests.runner.conftest import CopyKit
from tests.runner.kits import rewrite_manifest


def refusal(kit: Path) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        opened = Kit.open(kit)
        opened.verify_files()
        opened.check_requirements()
    return caught.value


def test_a_manifest_whose_bytes_show_the_cause_is_not_taken_for_another_kit(copy_kit: CopyKit) -> None:
    kit = copy_kit()
    text = (kit / "kit.json").read_bytes()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n"
    for content, cause in ((text.replace(b"\n", b"\r\n"), "line endings"), (pointer, "Git LFS pointer")):
        (kit / "kit.json").write_bytes(content)
        with pytest.raises(RunnerError) as caught:
            Kit.open(kit)
        assert caught.value.ref == "kit-file-changed" and cause in (caught.value.because or "")


def test_a_kit_that_nobody_touched_is_accepted(onnx_kit: Path) -> None:
    kit = Kit.open(onnx_kit)
    assert kit.verify_files() > 0
    assert set(kit.check_requirements()) == {"onnxruntime"}


def test_every_missing_package_is_named_at_once(copy_kit: CopyKit) -> None:
    kit = copy_kit()
    rewrite_manifest(kit, lambda manifest: manifest["requirements"]["packages"].update({"no-such-a": ">=1", "no-such-b": ">=2"}))
    error = refusal(kit)
    assert error.ref == "missing-package" and error.hint is not None
    assert all(text in part for text in ("no-such-a>=1", "no-such-b>=2") for part in (error.what, error.hint))


def test_a_folder_without_a_manifest_is_no_kit(tmp_path: Path) -> None:
    assert refusal(tmp_path).ref == "no-kit"


def test_a_changed_byte_names_the_file_and_both_digests(copy_kit: CopyKit) -> None:
    kit = copy_kit()
    model = kit / "model.onnx"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(bytes(content))
    error = refusal(kit)
    assert (error.ref, error.what) == ("kit-file-changed", "model.onnx: not the file that was packaged")
    assert error.because is not None and "its SHA-256 is" in error.because


def test_a_missing_file_is_named(copy_kit: CopyKit) -> None:
    kit = copy_kit()
    (kit / "golden/card.png").unlink()
    assert refusal(kit).what == "golden/card.png: listed in kit.json, but missing"


def test_a_link_in_place_of_a_file_is_refused_even_to_the_same_bytes(copy_kit: CopyKit, tmp_path: Path) -> None:
    kit = copy_kit()
    (kit / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (kit / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    assert refusal(kit).ref == "kit-file-link"


def test_a_link_in_place_of_a_folder_is_refused(copy_kit: CopyKit, tmp_path: Path) -> None:
    kit = copy_kit()
    (kit / "golden").rename(tmp_path / "golden")
    (kit / "golden").symlink_to(tmp_path / "golden")
    assert refusal(kit).ref == "kit-file-link"


def test_code_that_would_be_imported_in_place_of_a_package_is_refused(copy_kit: CopyKit) -> None:
    kit = copy_kit()
    (kit / "numpy.py").write_text("")
    assert refusal(kit).what == "numpy.py: code that kit.json does not list"


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "a/../../b", "C:\\x", ""])
def test_a_name_that_leaves_the_folder_is_refused(copy_kit: CopyKit, name: str) -> None:
    kit = copy_kit()
    manifest = json.loads((kit / "kit.json").read_text())
    manifest["files"][name] = {"sha256": "0" * 64, "bytes": 0}
    (kit / "kit.json").write_text(json.dumps(manifest))
    assert refusal(kit).ref == "outside-the-kit"


def set_field(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        for part in path[:-1]:
            manifest = manifest[part]
        manifest[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (set_field("schema", value="edgecnn.kit/2"), "schema is 'edgecnn.kit/2', but this runner reads 'edgecnn.kit/1'"),
        (set_field("sesion", value={}), "sesion is not a field that this runner knows"),
        (set_field("model", "batch", value=1), "model.batch is not a field that this runner knows"),
        (set_field("model", "input", "layout", value="CHW"), "model.input.layout is 'CHW', not one of NCHW, NHWC"),
        (set_field("labels", value=["one"]), "labels has 1 names, but the model has 4 classes"),
        (set_field("model", "entry", value="other.onnx"), "files does not list other.onnx"),
        (set_field("session", "options", value={"threads": 1}), "session.options must hold texts only"),
        (set_field("preprocessing", "normalization", "std", value=[0, 1, 1]), "preprocessing.normalization.std must be above 0"),
        (
            set_field("preprocessing", "normalization", "mean", value=[0, float("nan"), 1]),
            "preprocessing.normalization.mean must hold three numbers, red, green and blue",
        ),
        (set_field("golden", "logits_tolerance", value=10**400), "golden.logits_tolerance must be a number of at least 0"),
        (
            set_field("preprocessing", "pixels", "crop_px", value="999999x999999"),
            "preprocessing.pixels.crop_px is more than 178,956,970 pixels",
        ),
        (
            set_field("preprocessing", "pixels", "crop_px", value="0x5"),
            "preprocessing.pixels.crop_px '0x5' is neither a side in pixels nor HEIGHTxWIDTH, such as 48x192",
        ),
        (
            set_field("preprocessing", "pixels", "resize", value="squash"),
            "preprocessing.pixels.resize is 'squash', not one of crop, letterbox, stretch, line",
        ),
        (
            set_field("preprocessing", "pixels", "fill", value=[300, 0, 0]),
            "preprocessing.pixels.fill must hold levels of 0 to 255",
        ),
    ],
)
def test_a_manifest_that_is_wrong_says_where(copy_kit: CopyKit, change: Callable[[dict[str, Any]], None], text: str) -> None:
    kit = copy_kit()
    rewrite_manifest(kit, change)
    error = refusal(kit)
    assert (error.ref, error.what) == ("bad-manifest", "kit.json: " + text)


@pytest.mark.parametrize(
    ("change", "ref"),
    [
        (set_field("requirements", "python", value=">=4"), "wrong-python"),
        (set_field("requirements", "machines", value=["riscv64"]), "wrong-machine"),
        (set_field("requirements", "packages", value={"onnxruntime": ">=99"}), "wrong-package-version"),
        (set_field("requirements", "packages", value={"not-installed-anywhere": ">=1"}), "missing-package"),
    ],
)
def test_unmet_requirements_are_missing_rather_than_wrong_input(
    copy_kit: CopyKit, change: Callable[[dict[str, Any]], None], ref: str
) -> None:
    kit = copy_kit()
    rewrite_manifest(kit, change)
    error = refusal(kit)
    assert (error.ref, error.missing) == (ref, True)


def test_the_kits_name_is_the_digest_of_its_manifest(copy_kit: CopyKit) -> None:
    one, other = copy_kit("one"), copy_kit("other")
    rewrite_manifest(other, set_field("name", value="renamed"))
    assert Kit.open(one).sha256 != Kit.open(other).sha256
