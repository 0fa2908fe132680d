"""A real build that is sent to a tracker, and one whose tracker does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from edgecnn.render.tracking import misread
from tests.building.builds import Place, place_with_photos


def test_what_is_no_tracker_is_refused_before_any_work(tmp_path: Path) -> None:
    place = Place(tmp_path)
    done = place.run("build", "--track", "wandb:x")
    error = misread("wandb:x", "the only known tracker is mlflow")
    assert (done.returncode, done.stderr) == (2, f"edgecnn: error: {error.line()}\n")
    assert not place.out.exists() and not place.store.exists()


@pytest.mark.slow  # trains, quantizes and races a network
def test_a_build_is_sent_with_its_report_and_bundle_or_said_not_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, at = place_with_photos(tmp_path), (tmp_path / "mlruns").as_uri()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    unreachable = place.run("build", "--track", "mlflow:http://me:secret@127.0.0.1:9")
    assert unreachable.returncode == 0 and (place.out / "bundle/bundle.json").is_file()
    last = unreachable.stderr.splitlines()[-1]
    assert last.startswith(
        "edgecnn: not sent: mlflow:http://…@127.0.0.1:9 cannot be written: connection refused; the same command"
    )
    assert "secret" not in unreachable.stderr + unreachable.stdout + (place.out / "report.json").read_text()
    for said in ("sent to", "there already:"):
        done = place.run("build", "--track", f"mlflow:{at}")
        assert done.returncode == 0 and done.stderr.splitlines()[-1] == f"edgecnn: {said} mlflow:{at}"
    client = MlflowClient(tracking_uri=at)
    experiment = client.get_experiment_by_name("edgecnn")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    report = place.report()
    ships = next(row for row in report["candidates"] if row["chosen"])
    tags = (run.data.tags["choice"], run.data.tags["verdict"])
    assert (run.info.run_name, *tags) == ("out", ships["candidate"]["id"], report["verdict"])
    assert run.data.metrics["p50_ms"] == ships["latency"]["p50_ms"]["estimate"]
    assert run.data.tags["p50_ms.fidelity"] == "measured"
    assert (run.data.params["model.arch"], run.data.params["train.epochs"]) == ("lenet-5", "40")
    folder = Path(client.download_artifacts(run.info.run_id, "bundle"))
    sent = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert sent == {
        path.relative_to(place.out / "bundle"): path.read_bytes()
        for path in (place.out / "bundle").rglob("*") if path.is_file()
    }  # fmt: skip
    assert {each.path for each in client.list_artifacts(run.info.run_id)} == {"bundle", "report.html", "report.json", "report.md"}
