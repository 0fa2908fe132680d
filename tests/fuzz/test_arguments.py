"""Whatever is typed behind `edgecnn`, what comes back is a result or one error of ours: the code 70 is never seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgecnn.cli import usage
from edgecnn.cli.main import app
from edgecnn.errors.base import ExitCode
from tests.building.bundle.sealed import KIT_FOLDER, copied, published, zipped

COMMANDS = (
    ("plan",),
    ("recipe", "show"),
    ("recipe", "diff"),
    ("recipe", "schema"),
    ("list",),
    ("judge",),
    ("explain",),
    ("report",),
    ("compare",),
    ("pin",),
    ("data", "inspect"),
    ("data", "split"),
    ("store",),
    ("store", "list"),
    ("baseline",),
    ("verify",),
    ("predict",),
    ("bundle", "zip"),
    ("sign",),
    (),
)
"""Verbs that read what they are given before they do anything long; those that build are given their arguments by `plan`."""
OPTIONS = (
    "--arch",
    "--target",
    "--data",
    "--set",
    "--weights",
    "--out",
    "--max",
    "--min",
    "--json",
    "--onnx",
    "--against",
    "--objective",
    "--time-budget",
    "--key",
    "--version",
    "--allowed-signers",
    "--remember",
    "--made-here",
    "--candidate",
    "--top",
    "--help",
)
PHOTO = f"folder/bundle/{KIT_FOLDER}/golden/card.png"
WORDS = (
    *OPTIONS,
    *("latency", "size", "10min", "0s", "1e30h", "folder/bundle", "folder/bundle.zip", PHOTO),
    *("resnet-18", "cpu", "jetson", "cpu:openvino", "cpu:", ":", "train.epochs=0", "train.epochs=x", "=", "model.arch", "demo"),
    *("drop_pp=1", "p99_ms=-1", "p99_ms=nan", "drop_pp<1", "nothing.toml", "folder", "folder/file", "-", "--", "", ".", "\x00"),
    *("../../..", "~nobody/x", "é" * 300, "x" * 5000, "-1", "1e999", "\ud800", "$(id)", "a\nb"),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("bundles") / "flowers")


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written by chance is written here."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"\x00\x01")
    zipped(copied(bundle, tmp_path / "folder" / "bundle"), tmp_path / "folder" / "bundle.zip")
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=st.sampled_from(COMMANDS), words=st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=8)), max_size=5))
@example(command=("plan",), words=["--data", "folder/file"])
@example(command=("plan",), words=["--onnx", "folder/file", "--data", "folder"])
@example(command=("judge",), words=["folder", "--max", "p99_ms=nan"])
@example(command=("plan",), words=["demo", "--objective", "energy", "--time-budget", "1e30h"])
@example(command=("verify",), words=["folder/bundle.zip", "--allowed-signers", "folder"])
@example(command=("predict",), words=["folder/bundle", "folder/file", PHOTO, "--made-here"])
@example(command=("bundle", "zip"), words=["folder/bundle", "--out", "folder"])
@example(command=("bundle", "zip"), words=["folder/bundle", "--out", "\x00"])
@example(command=("sign",), words=["folder/bundle", "--key", "folder/file", "--version", "2"])
@example(command=("sign",), words=["folder/bundle", "--key", "\x00"])
@example(command=("plan",), words=["é" * 300])
def test_no_arguments_are_our_own_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], words: list[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("sys.argv", ["edgecnn", *command, *words])
        status = usage.run(app)
    said = capsys.readouterr()
    assert status in set(ExitCode) - {ExitCode.OWN_FAULT}, said.err
    assert "Traceback" not in said.err
    assert status is ExitCode.OK or said.err or said.out
    assert Path("folder").is_dir()
