"""Whatever is typed behind `edgecnn`, what comes back is a result or one error of ours: the code 70 is never seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgecnn.cli import usage
from edgecnn.cli.main import app
from edgecnn.errors.base import ExitCode
from tests.bundle.sealed import KIT_FOLDER, copied, published, zipped
from tests.render.reports import a_report

BUILDING = ("build", "train", "export", "quantize", "package", "compile", "profile")
LAST: dict[tuple[str, ...], tuple[str, ...]] = {
    **{(verb,): ("--data", "no-such-folder") for verb in BUILDING},
    ("study", "loadgen"): ("--scenario", "none"),
    ("bundle", "serve"): ("--port", "99999999"),
    ("evidence",): ("--minutes", "0"),
    ("doctor",): ("--need", "nothing-known"),
    ("devices", "check"): ("--host", "-x"),
    ("devices", "add"): ("--host", "-x"),
    ("devices", "emulate"): ("unexpected",),
}
"""What ends a verb that would otherwise begin something long, or never end: a last word that cannot be right."""


def _verbs() -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every verb with its options, as typer has them, so that a new one is fuzzed too; ``--debug`` is asked for a traceback."""

    def below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        options = (option for each in command.params for option in each.opts if option.startswith("-"))
        yield path, tuple(option for option in options if "completion" not in option and option != "--debug")
        for name, each in getattr(command, "commands", {}).items():
            yield from below(each, (*path, name))

    return below(typer.main.get_command(app), ())


VERBS = dict(_verbs())
PHOTO = f"folder/bundle/{KIT_FOLDER}/golden/card.png"
BOUNDS = ("drop_pp=1", "p99_ms=-1", "p99_ms=nan", "drop_pp<1", "macs=200M", "macs=1e400", "parameters=5M", "macs=-1", "macs=1k")
SCALES = ("phi=1.5", "phi=nan", "depth=1.2,width=0.75,resolution=192", "width=0", "depth=1e9", "phi=1,phi=2", "b7", "phi=-99")
WORDS = (
    *("latency", "size", "10min", "0s", "1e30h", "1,8,best", "0,0", "folder/bundle", "folder/bundle.zip", "folder/build", PHOTO),
    *(
        "resnet-18",
        "efficientnet",
        "cpu",
        "jetson",
        "cpu:openvino",
        "cpu:",
        ":",
        "model.arch",
        "demo",
        "photos",
        "photos/list.csv",
    ),
    *("train.epochs=0", "train.epochs=x", "=", "train.augment=[{}]", "a.b.c=1", "model.onnx=''", "data.path=", "torchvision:X"),
    *(*BOUNDS, *SCALES),
    *("nothing.toml", "folder", "folder/file", "-", "--", "", ".", "\x00", "git:HEAD:x", "git:", "https://x/y.zip"),
    *("../../..", "~nobody/x", "é" * 300, "x" * 5000, "-1", "0", "1e999", "\udcff", "$(id)", "a\nb", "--nothing"),
)
TYPED = st.sampled_from(sorted(VERBS)).flatmap(
    lambda verb: st.tuples(
        st.just(verb),
        st.lists(st.one_of(st.sampled_from((*VERBS[verb], "--help")), st.sampled_from(WORDS), st.text(max_size=8)), max_size=6),
    )
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("bundles") / "flowers")


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written by chance is written here."""
    (tmp_path / "folder" / "build").mkdir(parents=True)
    (tmp_path / "folder" / "build" / "report.json").write_text(a_report().model_dump_json(by_alias=True))
    (tmp_path / "folder" / "file").write_bytes(b"\x00\x01")
    zipped(copied(bundle, tmp_path / "folder" / "bundle"), tmp_path / "folder" / "bundle.zip")
    (tmp_path / "list.csv").write_text("path,label\nnothing.png,cat\n")
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("EDGECNN_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(typed=TYPED)
@example(typed=(("plan",), ["--data", "folder/file"]))
@example(typed=(("plan",), ["--onnx", "folder/file", "--data", "folder"]))
@example(typed=(("judge",), ["folder", "--max", "p99_ms=nan"]))
@example(typed=(("plan",), ["demo", "--objective", "energy", "--time-budget", "1e30h"]))
@example(typed=(("bundle", "verify"), ["folder/bundle.zip", "--allowed-signers", "folder"]))
@example(typed=(("predict",), ["folder/bundle", "folder/file", PHOTO, "--made-here"]))
@example(typed=(("bundle", "zip"), ["folder/bundle", "--out", "folder"]))
@example(typed=(("bundle", "zip"), ["folder/bundle", "--out", "\x00"]))
@example(typed=(("bundle", "sign"), ["folder/bundle", "--key", "folder/file", "--version", "2"]))
@example(typed=(("bundle", "sign"), ["folder/bundle", "--key", "\x00"]))
@example(typed=(("plan",), ["é" * 300]))
@example(typed=(("bench",), ["é" * 300]))
@example(typed=(("judge",), ["é" * 300]))
@example(typed=(("judge",), ["folder/" + "é" * 300]))
@example(typed=(("report",), ["folder/build", "--out", "\x00"]))
@example(typed=(("explain",), ["folder/build", "--candidate", "\udcff"]))
@example(typed=(("study", "scale"), ["--arch", "efficientnet", "--within", "macs=1e400"]))
@example(typed=(("plan",), ["--arch", "efficientnet-b0", "--scale", "depth=1e9"]))
def test_no_arguments_are_our_own_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: tuple[tuple[str, ...], list[str]]
) -> None:
    verb, words = typed
    with monkeypatch.context() as patched:
        patched.setattr("sys.argv", ["edgecnn", *verb, *words, *LAST.get(verb, ())])
        status = usage.run(app)
    said = capsys.readouterr()
    assert status in set(ExitCode) - {ExitCode.OWN_FAULT}, said.err
    assert "Traceback" not in said.err
    assert status is ExitCode.OK or said.err or said.out
    assert Path("folder").is_dir()
