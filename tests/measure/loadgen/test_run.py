"""Real runs of LoadGen, as short as they can be; VALID wants 10 s only by LoadGen's default, which these runs replace."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors.hosts import RunnerFailed
from edgecnn.errors.weights import MissingPackage
from edgecnn.measure.loadgen import run as loadgen_run
from edgecnn.measure.loadgen.facts import PilotBatch, Scenario
from edgecnn.measure.loadgen.run import Bench, LoadRequest, measure, run_scenario, search_server
from edgecnn.runner.kit import Kit
from tests.runner.kits import make_kit
from tests.store.toys import Ear

TOO_SLOW = (PilotBatch(batch=1, calls=9, p50_ms=40.0, fastest_ms=40.0),)
"""What a pilot would say that ran while the machine did something else."""


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return Kit.open(make_kit(tmp_path_factory.mktemp("kits")))


def bench_for(kit: Kit, out: Path, *scenarios: Scenario, server_latency_ms: float = 15) -> Bench:
    return Bench(kit, LoadRequest(scenarios=scenarios, duration_s=0.2, server_latency_ms=server_latency_ms), out, Ear())


def test_where_the_pilot_was_fooled_the_run_is_made_again_with_what_it_taught(kit: Kit, tmp_path: Path) -> None:
    pytest.importorskip("mlperf_loadgen", reason='pip install "edgecnn[loadgen]"')
    bench = bench_for(kit, tmp_path)
    result = run_scenario(bench, Scenario.SINGLE_STREAM, TOO_SLOW)
    first, second = result.runs
    assert first.too_short and not first.valid
    assert second.valid and result.valid and result.counts == 1
    assert result.figure == second.figure > 0
    for run in result.runs:
        word = "VALID" if run.valid else "INVALID"
        assert f"Result is : {word}\n" in (tmp_path / run.logs / "mlperf_log_summary.txt").read_text()
        assert (tmp_path / run.logs / "mlperf_log_detail.txt").is_file()


def test_no_rate_is_tried_where_one_image_takes_longer_than_the_bound(kit: Kit, tmp_path: Path) -> None:
    result = search_server(bench_for(kit, tmp_path), TOO_SLOW)
    assert not result.valid and result.runs == () and result.figure is None
    assert result.reason == "one image takes 40.00 ms at least, so no rate keeps the 99th percentile within 15 ms"


def test_a_kit_that_is_not_what_was_packed_is_refused_before_loadgen_runs(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    (folder / "model.onnx").write_bytes(b"another")
    (tmp_path / "out").mkdir()
    with pytest.raises(RunnerFailed, match=r"model.onnx: not the file that was packaged.*\[kit-file-changed\]"):
        measure(bench_for(Kit.open(folder), tmp_path / "out", Scenario.OFFLINE))


def test_without_the_package_the_extra_is_named(kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loadgen_run, "DISTRIBUTION", "no-such-package")
    with pytest.raises(MissingPackage) as caught:
        measure(bench_for(kit, tmp_path, Scenario.OFFLINE))
    assert caught.value.line() == (
        "edgecnn study loadgen needs the package no-such-package, which is not installed"
        ' — pip install "edgecnn[loadgen]" [missing-package]'
    )


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_all_four_scenarios_are_valid_on_each_runtime(runtime: str, tmp_path: Path) -> None:
    pytest.importorskip("mlperf_loadgen", reason='pip install "edgecnn[loadgen]"')
    kit = Kit.open(make_kit(tmp_path, runtime))
    (tmp_path / "out").mkdir()
    report = measure(bench_for(kit, tmp_path / "out", *Scenario))
    assert [(result.scenario, result.valid, result.reason) for result in report.results] == [
        (scenario, True, None) for scenario in Scenario
    ]
    figures = {result.scenario: result.figure or 0 for result in report.results}
    assert figures[Scenario.SERVER] < 1000 / report.pilot[0].fastest_ms
    assert figures[Scenario.MULTI_STREAM] > figures[Scenario.SINGLE_STREAM]
