"""A call may take many images, and each run says how many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn.runner.golden import golden_pixels
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.runs import worker
from edgecnn.runner.runs.items import Item
from edgecnn.runner.runs.schedule import bench
from edgecnn.runner.runs.worker import LIBRARY, library
from edgecnn.runner.sessions import open_session, timed_calls
from tests.runner.conftest import CopyKit
from tests.runner.kits import rewrite_manifest
from tests.runner.processes import schedule_of


def run_of(kit: Path, tmp_path: Path, **settings: Any) -> dict[str, Any]:
    bench(schedule_of(tmp_path / "s.json", kit, **settings), tmp_path / "out")
    run: dict[str, Any] = json.loads((tmp_path / "out/run-00000.json").read_text())
    return run


def test_one_image_a_call_unless_told(onnx_kit: Path, tmp_path: Path) -> None:
    assert run_of(onnx_kit, tmp_path)["batch"] == 1


@pytest.mark.parametrize("runtime", ["onnx_kit", "openvino_kit"])
def test_more_images_take_longer_a_call(runtime: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kit = request.getfixturevalue(runtime)
    one, many = (run_of(kit, tmp_path / str(batch), batch=batch) for batch in (1, 32) if not (tmp_path / str(batch)).mkdir())
    assert (one["batch"], many["batch"], len(many["samples_ns"])) == (1, 32, 20)
    assert sorted(many["samples_ns"])[10] > 3 * sorted(one["samples_ns"])[10]
    assert one["output_sha256"] != many["output_sha256"]


@pytest.mark.parametrize("batch", [1, 3])
def test_timed_calls_take_64_prepared_images_in_turn(onnx_kit: Path, batch: int) -> None:
    kit = Kit.open(onnx_kit)
    feeds = [next(iter(feed.values())) for feed in library(kit, golden_pixels(kit), batch)]
    assert len({feed.tobytes() for feed in feeds}) == LIBRARY == 64
    assert {(feed.shape, feed.flags.c_contiguous) for feed in feeds} == {((batch, *feeds[0].shape[1:]), True)}
    taken: list[int] = []
    timed_calls(taken.append, range(LIBRARY), 130, 10**12)
    assert taken == [*range(64), *range(64), 0, 1]


def test_more_than_the_model_takes_is_refused(copy_kit: CopyKit, tmp_path: Path) -> None:
    kit = copy_kit()
    rewrite_manifest(kit, lambda manifest: manifest["model"].update(batch_max=4))
    error = run_of(kit, tmp_path, batch=5)["error"]
    assert (error["ref"], error["what"]) == ("bad-batch", "a batch of 5 is not in 1…4")
    (tmp_path / "four").mkdir()
    assert "error" not in run_of(kit, tmp_path / "four", batch=4)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"batch": 0}, "items[0].batch is 0"),
        ({"batch": True}, "items[0].batch is True"),
        ({"window_s": 0}, "items[0].window_s is 0"),
        ({"batch": 2, "end_to_end": True}, "items[0] combines two of batch, end_to_end, window_s and energy"),
        ({"window_s": 1.0, "energy": True}, "items[0] combines two of batch, end_to_end, window_s and energy"),
    ],
)
def test_a_schedule_that_is_wrong_says_where(onnx_kit: Path, tmp_path: Path, settings: dict[str, Any], text: str) -> None:
    schedule = schedule_of(tmp_path / "s.json", onnx_kit, **settings)
    with pytest.raises(RunnerError) as caught:
        bench(schedule, tmp_path / "out")
    assert caught.value.what == f"{schedule}: {text}"


def test_a_run_states_what_only_its_open_session_can_tell(onnx_kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*args: Any, **more: Any) -> Any:
        session = open_session(*args, **more)
        session.conditions = {"webgpu_adapter": "one"}
        return session

    monkeypatch.setattr(worker, "open_session", opened)
    item = Item(onnx_kit, 0, 0, 3, 0.0, 1.0, {}, trace=False, energy=False, batch=1, end_to_end=False, window_s=None)
    conditions = worker.run_item(item, 60.0)["environment"]["conditions"]
    assert (conditions["webgpu_adapter"], conditions["runtime"]) == ("one", "onnxruntime")
