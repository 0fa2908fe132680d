"""Real sweeps: processes, a store, real networks that learn little."""

import json
import signal
import time
from pathlib import Path

import psutil
import pytest

from edgecnn.errors.sweeps import NOTHING_SWEPT
from edgecnn.store.entry import Layout
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.store.transfer import report_if_unusable
from tests.building.builds import Place, place_with_photos
from tests.data.folders import Heard
from tests.house.child import child
from tests.runtimes.made import SATURATES
from tests.store.toys import wait_until
from tests.sweeps.written import LENET

SWEEP = f"""{LENET}target.device = ["cpu:onnxruntime", "raspberry-pi-5:onnxruntime"]
"""
ABSENT = '[set]\ndata.path = "absent"\n[grid]\nmodel.arch = ["lenet-5"]\ntrain.epochs = [1, 2]\n'


def state(place: Place) -> dict[str, object]:
    found: dict[str, object] = json.loads((place.folder / "builds/sweep/sweep.json").read_text())["outcomes"]
    return found


def test_one_build_s_failure_leaves_the_others_and_is_tried_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "sweep.toml").write_text(ABSENT)
    for _ in range(2):
        done = place.plain("sweep", "run", "sweep.toml", "--junit", "junit.xml")
        assert done.returncode == 2, done.stderr
        assert done.stdout.count("failed: lenet-5-cpu-epochs=") == 2 and "Traceback" not in done.stderr
        assert done.stderr.count("absent") >= 2
        assert (tmp_path / "junit.xml").read_text().count("<error ") == 2
    log = (tmp_path / "builds/sweep/logs/lenet-5-cpu-epochs=1.log").read_text()
    assert log.startswith("$ edgecnn build --set 'data.path=") and log.count("$ edgecnn") == 1


def test_a_store_afar_that_cannot_be_used_is_said_and_nothing_but_its_top_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    monkeypatch.setattr(Remote, "names", lambda _: pytest.fail("all of it was listed"))
    report_if_unusable(Store(Layout(tmp_path), tmp_path.as_uri()), heard)
    assert heard.notes == []
    report_if_unusable(Store(Layout(tmp_path), "nowhere://store"), heard)
    said = (
        "missing entries are rebuilt here: the remote store nowhere://store cannot be used: nowhere is not a known kind of place"
    )
    assert [note.startswith(said) for note in heard.notes] == [True]


@pytest.mark.slow  # loads MLflow in several processes
def test_failed_builds_are_failed_runs_of_a_tracker(tmp_path: Path) -> None:
    place, at = Place(tmp_path), (tmp_path / "mlruns").as_uri()
    (tmp_path / "sweep.toml").write_text(ABSENT)
    for known in ("", "; 2 of them were there already"):
        done = place.plain("sweep", "run", "sweep.toml", "--track", f"mlflow:{at}", MLFLOW_ALLOW_FILE_STORE="true")
        assert done.returncode == 2
        assert done.stderr.endswith(f"edgecnn: 2 builds in mlflow:{at} now, experiment sweep{known}\n")
    found = [meta.read_text() for meta in (tmp_path / "mlruns").glob("*/*/tags/error")]
    assert len(found) == 2 and all("[data-folder-missing]" in error for error in found)


def test_status_and_judge_of_what_was_never_run(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "sweep.toml").write_text(ABSENT)
    assert (
        "open: 2 builds: edgecnn sweep run sweep.toml --out builds/sweep" in place.plain("sweep", "status", "sweep.toml").stdout
    )
    done = place.plain("sweep", "judge", "sweep.toml")
    assert done.returncode == 3
    error = NOTHING_SWEPT(out=Path("builds/sweep"), command="edgecnn sweep run sweep.toml --out builds/sweep")
    assert done.stderr == f"edgecnn: error: {error.line()}\n"


def builds_running(folder: Path) -> list[str]:
    """Command lines of builds that a sweep of the folder began."""
    lines = (
        " ".join(each.info["cmdline"] or ())
        for each in psutil.process_iter(["cmdline", "cwd"])
        if each.info["cwd"] == str(folder)
    )
    return [line for line in lines if "edgecnn build" in line and "builds/sweep" in line]


@pytest.mark.slow  # trains, quantizes and races a network, twice interrupted
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_sweep_goes_on_where_it_was_and_trains_once(jobs: str, tmp_path: Path) -> None:
    place = place_with_photos(tmp_path)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    words = [*place.command("build")[:3], "sweep", "run", "sweep.toml", "--jobs", jobs, "--quiet"]
    planned = place.plain("sweep", "plan", "sweep.toml", "--json")
    cells = json.loads(planned.stdout)["cells"]
    assert cells[0]["cached"] == 0 and cells[1]["shared"] > 0
    if not SATURATES:  # else this machine's INT8 is of seven bits, and the other's is not
        assert cells[1]["shared"] == cells[1]["stages"] - 2, "all but fp16, made and answered for the board alone"
    for sent in (signal.SIGKILL, signal.SIGINT):
        with child(words, env=place.environment, cwd=tmp_path, start_new_session=True) as running:
            time.sleep(6)
            running.send_signal(sent)
            assert running.wait(90) in (-sent, 130)
        wait_until(lambda: not builds_running(tmp_path), 60)
    done = place.plain(*words[3:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((place.store / "artifacts/train").iterdir())) == 1
    assert {name: (each["exit_code"], each["reported"]) for name, each in state(place).items()} == {  # type: ignore[index]
        "lenet-5-cpu-onnxruntime": (0, True), "lenet-5-raspberry-pi-5-onnxruntime": (0, True),
    }  # fmt: skip
    started = time.monotonic()
    again = place.plain(*words[3:])
    assert again.returncode == 0 and time.monotonic() - started < 30
    assert "raspberry-pi-5" in again.stdout and (tmp_path / "builds/sweep/fleet.html").is_file()
    before = (tmp_path / "builds/sweep/sweep.json").read_bytes()
    strict = place.plain("sweep", "judge", "sweep.toml", "--min", "top1=0.999", "--junit", "junit.xml")
    assert strict.returncode == 1, strict.stdout + strict.stderr
    assert (tmp_path / "junit.xml").read_text().count("<failure ") == 2
    assert place.plain("sweep", "judge", "sweep.toml", "--min", "top=0.9").returncode == 2
    measured = place.plain("sweep", "judge", "sweep.toml", "--max", "p99_ms=900", "--require-measured", "--junit", "junit.xml")
    assert measured.returncode == 3 and "<error " in (tmp_path / "junit.xml").read_text()
    assert (tmp_path / "builds/sweep/sweep.json").read_bytes() == before
    said = place.plain("sweep", "status", "sweep.toml").stdout
    assert said.count("PASS") + said.count("UNSURE") == 2 and "failed" not in said and "open:" not in said
    bounded = place.plain(*words[3:], "--min", "top1=0.999", "--junit", "junit.xml")
    assert bounded.returncode == 1 and (tmp_path / "junit.xml").read_text().count("<failure ") == 2
    assert len(list((place.store / "artifacts/train").iterdir())) == 1
    judged = json.loads(place.plain("sweep", "status", "sweep.toml", "--json").stdout)["cells"]
    assert [(cell["state"], cell["verdict"]) for cell in judged] == [("finished", "FAIL")] * 2
    assert place.plain(*words[3:]).returncode == 0, "without bounds the recipe's hold again"
