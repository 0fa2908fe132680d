"""Of a kit that was changed after its build, the cause is named where the bytes show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import BUILD_DAMAGED, BundleUnreadable
from edgecnn.measure.kits import KitRef
from edgecnn.results.finished import check_files
from edgecnn.results.shipped import shipped_kit
from tests.bundle.sealed import KIT_FOLDER, published
from tests.runner.causes.test_known import BINARY, POINTER, crlf_copy


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    return published(tmp_path / "flowers") / KIT_FOLDER


def test_a_finished_build_names_the_cause_before_it_names_the_command_that_builds_again(kit: Path) -> None:
    reference = KitRef.at(kit)
    for content, because, hint in (
        (POINTER, "it is a Git LFS pointer, not the file itself", "git lfs pull"),
        (b"x", "its SHA-256 is 2d711642b726…, in kit.json ", "edgecnn build"),
    ):
        (kit / "model.onnx").write_bytes(content)
        with pytest.raises(EdgecnnError, check=BUILD_DAMAGED.made) as caught:
            check_files(reference, "edgecnn build")
        assert (str(caught.value.because).startswith(because), caught.value.hint) == (True, hint)


def test_a_manifest_whose_line_endings_were_converted_is_named(kit: Path) -> None:
    (kit / "kit.json").write_bytes(crlf_copy((kit / "kit.json").read_bytes()))
    with pytest.raises(BundleUnreadable) as caught:
        shipped_kit(kit.parents[1])
    assert caught.value.line() == (
        f"{kit}/kit.json cannot be read: its line endings were converted, as if it were text — {BINARY} [bundle-unreadable]"
    )
