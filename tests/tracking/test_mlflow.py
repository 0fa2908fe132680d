"""Builds in an MLflow store, as MLflow's own client reads them; servers that do not answer; passwords that nobody sees."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from edgecnn import installed
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import (
    TRACKER_FOLDER_REFUSED,
    TRACKER_MISREAD,
    TRACKER_REFUSED,
    TRACKER_WITHOUT_DATABASES,
    TrackerUnreachable,
)
from edgecnn.errors.weights import MissingPackage
from edgecnn.render.mlflow import MlflowTracker, address_of
from edgecnn.render.tracking import TrackedRun, figures_only, open_tracker

RUN = TrackedRun(
    name="flowers",
    build="b" * 64,
    report="r1",
    ended_ms=1_795_000_060_000,
    seconds=60.0,
    parameters={f"train.value_{number}": str(number) for number in range(130)},
    metrics={"p50_ms": 2.5, "p50_ms.low": 2.4, "openvino-int8/p50_ms": 2.5},
    tags={"verdict": "PASS", "network": "resnet-18", "device": "cpu", "p50_ms.fidelity": "measured"},
)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store in a folder, which MLflow has to be told to take."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return (tmp_path / "mlruns").as_uri()


def runs(at: str, experiment: str = "edgecnn") -> list[Any]:
    client = MlflowClient(tracking_uri=at)
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id]))


def artifacts(at: str, run_id: str, folder: str | None = None) -> list[str]:
    return [each.path for each in MlflowClient(tracking_uri=at).list_artifacts(run_id, folder)]


def bundle(folder: Path) -> list[Path]:
    (folder / "bundle/kits").mkdir(parents=True)
    (folder / "bundle/kits/model.onnx").write_bytes(b"model")
    (folder / "report.json").write_text("{}")
    return [folder / "report.json", folder / "bundle"]


def test_a_build_is_a_run_with_parameters_figures_tags_and_files(at: str, tmp_path: Path) -> None:
    sent = MlflowTracker(f"mlflow:{at}").send(RUN, bundle(tmp_path))
    assert sent.anew
    (found,) = runs(at)
    assert (found.info.run_name, found.info.status) == ("flowers", "FINISHED")
    assert (found.info.start_time, found.info.end_time) == (1_795_000_000_000, 1_795_000_060_000)
    assert found.data.params == RUN.parameters and found.data.metrics == RUN.metrics
    assert found.data.tags.items() >= {**RUN.tags, "edgecnn.build": RUN.build, "edgecnn.report": "r1"}.items()
    assert artifacts(at, found.info.run_id) == ["bundle", "report.json"]
    assert artifacts(at, found.info.run_id, "bundle/kits") == ["bundle/kits/model.onnx"]


def test_the_same_build_sent_again_is_the_same_run(at: str) -> None:
    tracker = MlflowTracker(f"mlflow:{at}")
    assert [tracker.send(RUN).anew for _ in range(2)] == [True, False]
    assert tracker.send(RUN.model_copy(update={"build": "c" * 64})).anew and len(runs(at)) == 2


PLACES = {
    "data.path": "/home/ann/photos",
    "model.weights": "own.safetensors",
    "model.onnx": "C:\\models\\a.onnx",
    "train.teacher": "builds/big",
    "synthesis.cutouts": '["a/b"]',
}
KEPT = {"model.arch": "resnet-18", "train.epochs": "3", "target.device": "cpu"}


def test_figures_alone_go_without_paths_command_and_files(at: str, tmp_path: Path) -> None:
    private = RUN.model_copy(
        update={
            "name": "resnet-18-cpu-data.path=home-ann-photos",  # of a sweep over data.path
            "parameters": {**PLACES, **KEPT},
            "tags": {**RUN.tags, "command": "edgecnn build --data /home/ann", "choice.why": "as C:\\ann says"},
        }
    )
    tracker, files = MlflowTracker(f"mlflow-figures:{at}"), bundle(tmp_path)
    assert [tracker.send(private, files).anew for _ in range(2)] == [True, False]
    (found,) = runs(at)
    assert (found.data.params, found.data.metrics, artifacts(at, found.info.run_id)) == (KEPT, RUN.metrics, [])
    assert found.info.run_name == f"{RUN.tags['network']}-{RUN.tags['device']}"
    assert "command" not in found.data.tags and "ann" not in str(found.to_dictionary()).replace(str(tmp_path), "")
    assert MlflowTracker(f"mlflow:{at}").send(private, files).anew and len(runs(at)) == 2, "everything, once that is asked for"


def test_figures_alone_of_a_failed_build_hold_no_word_of_its_error(at: str) -> None:
    failed = {
        "failed": True,
        "parameters": {},
        "metrics": {},
        "tags": {"error": "/home/ann/photos: no such folder", "network": "resnet-18", "device": "cpu"},
    }
    MlflowTracker(f"mlflow-figures:{at}").send(RUN.model_copy(update=failed))
    (found,) = runs(at)
    assert (found.info.status, found.data.tags["error"]) == ("FAILED", "the build failed")


@pytest.mark.parametrize("value", ["demo", "torchvision:CIFAR10"])
def test_published_images_are_no_path(value: str) -> None:
    assert figures_only(RUN.model_copy(update={"parameters": {"data.path": value}})).parameters == {"data.path": value}


def superseded(at: str) -> dict[str, str | None]:
    """Report to the report of the run that took its place."""
    known = {each.info.run_id: each.data.tags for each in runs(at)}
    by = {tags["edgecnn.report"]: tags.get("edgecnn.superseded_by") for tags in known.values()}
    return {report: None if other is None else known[other]["edgecnn.report"] for report, other in by.items()}


def test_another_report_of_a_build_is_a_run_of_its_own_and_nothing_is_mixed(at: str, tmp_path: Path) -> None:
    tracker, client = MlflowTracker(f"mlflow:{at}"), MlflowClient(tracking_uri=at)
    provisional = bundle(tmp_path / "provisional")
    (tmp_path / "provisional/bundle/kits/other.onnx").touch()
    tracker.send(RUN, provisional)
    client.set_tag(runs(at)[0].info.run_id, "reviewed", "by us")
    settled = RUN.model_copy(update={"report": "r2", "metrics": {"p50_ms": 2.0}, "tags": {"verdict": "MISSING"}})
    files = bundle(tmp_path / "settled")
    assert [tracker.send(settled, files).anew for _ in range(2)] == [True, False]
    new, old = sorted(runs(at), key=lambda each: each.data.tags["edgecnn.report"] == "r1")
    assert new.data.metrics == {"p50_ms": 2.0} and "p50_ms.fidelity" not in new.data.tags
    assert artifacts(at, new.info.run_id, "bundle/kits") == ["bundle/kits/model.onnx"]
    assert old.data.metrics == RUN.metrics and old.data.tags["reviewed"] == "by us"
    assert superseded(at) == {"r1": "r2", "r2": None}
    assert tracker.send(RUN, provisional).anew and superseded(at) == {"r1": None, "r2": "r1"}, "as it was before, once more"
    assert not tracker.send(RUN, provisional).anew and len(runs(at)) == 2


def test_what_never_arrived_whole_is_no_run_that_goes_on_once_the_build_has_another_report(at: str, tmp_path: Path) -> None:
    tracker = MlflowTracker(f"mlflow:{at}")
    with pytest.raises(TrackerUnreachable):
        tracker.send(RUN, [tmp_path / "gone"])
    tracker.send(RUN.model_copy(update={"report": "r2"}), bundle(tmp_path))
    assert superseded(at) == {"r1": "r2", "r2": None}
    assert {each.data.tags["edgecnn.report"]: each.info.status for each in runs(at)} == {"r1": "KILLED", "r2": "FINISHED"}


def test_what_did_not_arrive_whole_is_sent_again(at: str, tmp_path: Path) -> None:
    tracker = MlflowTracker(f"mlflow:{at}")
    with pytest.raises(TrackerUnreachable):
        tracker.send(RUN, [tmp_path / "gone"])
    assert [each.info.status for each in runs(at)] == ["RUNNING"]
    assert tracker.send(RUN, bundle(tmp_path)).anew
    assert [each.info.status for each in runs(at)] == ["FINISHED"]


def test_a_failed_build_of_a_sweep_becomes_the_finished_one(at: str) -> None:
    tracker = MlflowTracker(f"mlflow:{at}")
    failed = {"failed": True, "report": "e1", "parameters": {}, "metrics": {}, "tags": {"error": "no such folder"}}
    tracker.send(RUN.model_copy(update=failed), experiment="nightly")
    (found,) = runs(at, "nightly")
    assert (found.info.status, found.data.tags["error"]) == ("FAILED", "no such folder")
    tracker.send(RUN, experiment="nightly")
    (found,) = runs(at, "nightly")
    assert found.info.status == "FINISHED" and "error" not in found.data.tags and runs(at) == []
    experiment = MlflowClient(tracking_uri=at).get_experiment(found.info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_the_team_s_own_variable_names_the_experiment(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "flowers of 2026")
    assert MlflowTracker(f"mlflow:{at}").send(RUN, experiment="nightly").experiment == "flowers of 2026"
    assert len(runs(at, "flowers of 2026")) == 1


def test_a_database_takes_builds_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tracker = MlflowTracker("mlflow:sqlite:///mlflow.db")
    tracker.ask()
    files = bundle(tmp_path)
    assert [tracker.send(RUN, files).anew for _ in range(2)] == [True, False]
    (found,) = runs("sqlite:///mlflow.db")
    assert found.data.params == RUN.parameters and artifacts("sqlite:///mlflow.db", found.info.run_id)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("", "the only known tracker is mlflow"),
        ("wandb:x", "the only known tracker is mlflow"),
        ("http://host:5000", "the only known tracker is mlflow"),
        ("mlflow", "nothing follows mlflow:"),
        ("mlflow: ", "nothing follows mlflow:"),
        ("mlflow-figures:", "nothing follows mlflow-figures:"),
        ("mlflow:http://:5000", "it names no server"),
        ("mlflow:http://me:se/cret@host:5000", "its URI is not valid"),
        ("mlflow:http://[::1", "its URI is not valid"),
    ],
)
def test_what_is_no_address_is_refused(text: str, because: str) -> None:
    with pytest.raises(EdgecnnError, check=TRACKER_MISREAD.made) as caught:
        open_tracker(text)
    assert caught.value.because == because
    assert "se/cret" not in caught.value.line() and "me:" not in caught.value.line()


def test_an_address_is_handed_on_without_its_password() -> None:
    found = address_of("mlflow:https://me:p%40ss@[::1]:5000/base")
    assert found == ("https://[::1]:5000/base", "mlflow:https://…@[::1]:5000/base", "me", "p@ss")
    assert address_of("mlflow:me:secret@host").shown == "mlflow:…@host"
    assert address_of("mlflow-figures:me:secret@host").shown == "mlflow-figures:…@host"
    assert address_of("mlflow-figures:http://me:p@host") == ("http://host", "mlflow-figures:http://…@host", "me", "p")


def test_what_mlflow_does_not_take_is_refused_with_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    for text in ("mlflow:./mlruns", "mlflow:file:///tmp/mlruns"):
        with pytest.raises(EdgecnnError, check=TRACKER_FOLDER_REFUSED.made):
            MlflowTracker(text)
    with pytest.raises(EdgecnnError, check=TRACKER_REFUSED.made):
        MlflowTracker("mlflow:localhost:5000")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EdgecnnError, check=TRACKER_WITHOUT_DATABASES.made):
        MlflowTracker("mlflow:sqlite:///mlflow.db")


def test_without_the_package_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "installed_version", lambda _: None)
    with pytest.raises(MissingPackage, match=r'pip install "edgecnn\[mlflow\]"'):
        MlflowTracker("mlflow:http://host:5000")


class Refusing(BaseHTTPRequestHandler):
    """A server that lets nobody in, and repeats what it was told."""

    heard: list[str]

    def do_GET(self) -> None:
        self.heard.append(self.headers.get("Authorization", ""))
        self.send_response(403)
        self.end_headers()
        self.wfile.write(self.heard[-1].encode() + b" secret")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def refusing_server() -> Iterator[tuple[int, list[str]]]:
    heard: list[str] = []
    server = HTTPServer(("127.0.0.1", 0), type("Handler", (Refusing,), {"heard": heard}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_hears_the_password_and_nobody_else_does(capfd: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    with refusing_server() as (port, heard):
        tracker = MlflowTracker(f"mlflow:http://me:secret@127.0.0.1:{port}")
        with pytest.raises(TrackerUnreachable) as caught:
            tracker.ask()
    assert heard == ["Basic " + base64.b64encode(b"me:secret").decode()]
    assert caught.value.what == f"mlflow:http://…@127.0.0.1:{port} cannot be written"
    assert "secret" not in str(caught.value) and "secret" not in repr(tracker.shown) and "me:" not in str(caught.value)
    assert capfd.readouterr() == ("", "") and dict(os.environ) == before


def test_nobody_at_the_port_is_said_in_two_words() -> None:
    with refusing_server() as (port, _):
        pass
    with pytest.raises(TrackerUnreachable, match=r"cannot be written: connection refused — "):
        MlflowTracker(f"mlflow:http://127.0.0.1:{port}").ask()


def test_mlflow_s_telemetry_is_off() -> None:
    program = (
        "from edgecnn.render.mlflow import MlflowTracker; MlflowTracker('mlflow:http://127.0.0.1:9')\n"
        "from mlflow.telemetry.client import get_telemetry_client; print(get_telemetry_client())"
    )
    in_ci = ("CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")  # there it is off anyway
    environment = {name: value for name, value in os.environ.items() if name not in in_ci}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("None\n", 0), done.stderr
