"""Screens and pages about finished builds: compared, searched, swept, shipped and looked into."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from edgecnn.bench.facts import BenchImages, BundleBench
from edgecnn.bundle.evidence import EvidenceVerification, EvidenceWeights
from edgecnn.bundle.manifest import BundleVerification
from edgecnn.bundle.predictions import LabelShare, Predicted, Predictions, Served, Unreadable
from edgecnn.comparing.facts import BuildChanges
from edgecnn.measure.loadgen.facts import Scenario, ScenarioResult
from edgecnn.models.catalogue import arch_named
from edgecnn.render.columns import legend
from edgecnn.render.page.compared import comparison_page
from edgecnn.render.page.fronts import fit_page, fleet_page
from edgecnn.render.page.networks import catalogue_page
from edgecnn.render.page.over_time import history_page
from edgecnn.render.page.studies import frontier_page
from edgecnn.render.screens import bundle, comparing, fit, networks, studies, sweep
from edgecnn.studies.facts import ChannelPictures, Ensemble, EnsembleRow, FeaturePictures, FilterPictures, MapPictures, TenCrop
from edgecnn.sweeps.boards import KinRace, mark_slower
from edgecnn.sweeps.plan import PlannedCell, SweepPlan
from edgecnn.sweeps.sweep import JudgedBuild, SweepJudgement
from edgecnn.values.arch import listed
from edgecnn.values.fit import LatencyTable, OnAnother, Probe, TimedProbe, Trial
from edgecnn.values.fit import Predicted as PredictedTime
from edgecnn.values.forecast import ForecastBasis, ForecastReport
from edgecnn.values.layers import LayerCost, NetworkCost
from edgecnn.values.profile import Environment
from edgecnn.values.recipe import Recipe
from edgecnn.values.report import LatencyBaseline, Origin, PinnedBuild, ShippedKitFacts
from edgecnn.values.sandbox import Confinement
from edgecnn.values.verdict import Fidelity, Verdict
from tests.bundle.evidence_records import EMULATED, a_network, an_emulated_kit, an_evidence
from tests.fit.made import USED, report
from tests.fit.test_choose import member
from tests.judging.made import a_candidate, a_forecast, a_latency, a_race, an_accuracy, an_interval, facts
from tests.render.page.comparisons import a_history, some_builds
from tests.render.page.frontiers import a_search
from tests.render.page.measured import an_energy
from tests.render.page.test_catalogue import MINE
from tests.render.reports import a_gate, a_report, a_row
from tests.render.test_comparison import a_comparison
from tests.render.test_loadgen import a_report as a_load
from tests.render.test_loadgen import a_run as a_load_run
from tests.surfaces.pinned import Surface, printed, sections
from tests.surfaces.reports import page_text
from tests.sweeps.test_fleet import fleet
from tests.sweeps.test_kin import raced
from tests.sweeps.written import cells

HERE = Environment(conditions={"cpu": "AMD EPYC"}, observed={})


def compare(_: Path) -> str:
    """Three builds, of which one was made on another machine and one lacks a plan."""
    builds = some_builds()
    unknown = BuildChanges(base="A", head="C", lines=(), unknown="C: no plan.json")
    gone = builds.paired[0].model_copy(update={"drop_pp": None, "absent": "other pixels"})
    builds = builds.model_copy(update={"changed": (*builds.changed, unknown), "paired": (gone, *builds.paired[1:])})
    return sections(
        {"terminal": printed(lambda: comparing.show_side_by_side(builds)), "page": page_text(comparison_page(builds))}
    )


def against(_: Path) -> str:
    """A race of two builds, and the files that later builds are raced against."""
    known = a_comparison(changed=tuple(f"tool {n}: 1 → 2" for n in range(14)), notices=("take care",))
    unknown = a_comparison(drop_pp=None, drop_absent="other pixels")
    race = a_race([1.0] * 8)
    shipped = ShippedKitFacts(name="a", candidate=a_candidate("onnxruntime-fp32"), kit="1" * 64, arch="resnet-18", device="cpu")
    baseline = LatencyBaseline(
        version="0.1.0", shipped=shipped, machine="AMD EPYC", environment=race.environment, observed_at=race.observed_at,
        runs=race.runs, origin=Origin(kit={"runtime": "onnxruntime"}),
    )  # fmt: skip
    latency = a_latency(an_interval(1.0, 0.9, 1.1), disturbed="other work")
    pin = PinnedBuild(
        version="0.1.0", shipped=shipped, evaluated_kit="1" * 64, device_attached=True, keys={"train": "2" * 64},
        tools={"onnx": "1.21"}, recipe=Recipe(), origin=Origin(kit={"runtime": "onnxruntime"}),
        made_at="2026-11-20T09:00:00+00:00",
    )  # fmt: skip
    return sections(
        {
            "judge --against": "\n".join(comparing.comparison_lines(known)),
            "judge --against, no drop": "\n".join(comparing.comparison_lines(unknown)),
            "baseline record": "\n".join(comparing.baseline_lines(baseline, latency, an_energy())),
            "baseline pin": "\n".join(comparing.pin_lines(pin, "pin.json")),
        }
    )


def over_time(_: Path) -> str:
    over_builds = a_history()
    return sections(
        {"terminal": printed(lambda: comparing.show_history(over_builds)), "page": page_text(history_page(over_builds))}
    )


def searched(_: Path) -> str:
    """A search with a failed member, a table of another device, and a teacher that did not help."""
    fast = member("fast", 0.80, 3.0)
    slow = member("slow", 0.85, 9.0, Verdict.FAIL)
    broken = slow.model_copy(
        update={"name": "broken", "build": None, "p50_ms": None, "failed": "it has no weights", "inside": None}
    )
    there = PredictedTime(candidate="ncnn-fp16", p50_ms=an_interval(20.0, 18.0, 22.0))
    searched_report = report(
        fast, slow, broken, left_out=2, axes={"half the depth": 0.6}, shipped="fast", front=("fast", "slow"),
        rank_correlation=0.8, ranked=5, teacher="resnet-50", distillation_gain_pp=an_interval(-8.0, -8.7, -7.3),
        shipped_distilled=True, against_first_pp=an_interval(1.5, 0.5, 2.5), trials=(Trial(name="n1", p50_ms=1.0, standin=20.0),),
        elsewhere=(OnAnother(device="raspberry-pi-5", table=USED, predicted={"fast": there, "slow": there}),),
    )  # fmt: skip
    probe = TimedProbe(probe=Probe(arch="mobilenet-v2", resolution_px=64, classes=10), macs=1, medians_ms=(0.8, 0.9))
    table = LatencyTable(
        version="0.1.0", device="cpu", machine="AMD EPYC", fidelity=Fidelity.MEASURED, environment=HERE,
        runtimes={"onnxruntime": "1.31"}, observed_at="2026-11-01T00:00:00+00:00", seconds=60.0,
        timed={"onnxruntime-fp32": (probe,)}, failed={"ncnn-fp16": "it is not installed"}, left=3,
    )  # fmt: skip
    return sections(
        {
            "fit": printed(lambda: fit.show_fit(searched_report, Path("out"))),
            "page": page_text(fit_page(searched_report)),
            "devices measure": "\n".join(fit.table_lines(table)),
        }
    )


def swept(folder: Path) -> str:
    """A finished, a failed and a waiting build; three boards of one kind."""
    three = '[grid]\nmodel.arch = ["lenet-5", "mobilenet-v2", "resnet-18"]\ntarget.device = ["cpu"]'
    one_sweep = fleet(folder, cells(folder, three), (an_interval(0.6, 0.59, 0.61, 0.95), an_interval(1.0, 0.9, 1.1)), None)
    kin = {"device": "cpu", "build": "lenet-5-cpu", "candidate": "onnxruntime-int8"}
    races = [mark_slower(raced(*times)) for times in ((1.0, 1.02, 0.99, 1.01, 1.0, 1.3), (1.0, 1.0))]
    one_sweep = one_sweep.model_copy(
        update={
            "kin": tuple(KinRace(**kin, boards=boards) for boards in races),
            "set_aside": {"lab-9": "no link: timed out"},
            "provisional": {"lenet-5-cpu": "edgecnn bench x"},
            "changed": ("tool onnx: 1.20 → 1.21",),
        }
    )
    planned = (
        PlannedCell(name="a", network="lenet-5", device="cpu", words=(), finished=True),
        PlannedCell(
            name="b", network="lenet-5", device="cpu", words=(), finished=False, stages=6, cached=2, afar=1, seconds=(60, 180)
        ),
        PlannedCell(name="c", network="lenet-5", device="cpu", words=(), finished=False, error="there is no folder photos"),
    )
    plan = SweepPlan(
        sweep="s.toml", out="out", cells=planned, make_seconds=(60.0, 180.0), unknown=1, measure_seconds=30.0,
        boards_from="labgrid://lab", boards={"raspberry-pi-5": ("lab-1", "lab-2"), "cpu": ()}, changed=("tool onnx: 1 → 2",),
    )  # fmt: skip
    failing = a_report(a_row(), verdict=Verdict.FAIL, gates=(a_gate(Verdict.FAIL, "the drop is 2 pp"),))
    judged = SweepJudgement(
        sweep="s.toml",
        builds=(
            JudgedBuild(name="a", exit_code=1, verdict=Verdict.FAIL, report=failing),
            JudgedBuild(name="b", exit_code=2, verdict=Verdict.MISSING, error="it holds no report", report=None),
        ),
    )
    return sections(
        {
            "plan": printed(lambda: sweep.show_sweep_plan(plan)),
            "status": printed(lambda: sweep.show_fleet(one_sweep)),
            "judge": "\n".join(sweep.judgement_lines(judged)),
            "page": page_text(fleet_page(one_sweep)),
        }
    )


def shipped(_: Path) -> str:
    """A bundle that is verified, asked, served and measured."""
    verified = BundleVerification(
        path="out/bundle", form="folder", name="flowers", version=3, sha256="a" * 64, files=42, bytes=6 << 20,
        kits=("onnxruntime-int8",), chosen="onnxruntime-int8", signature="good", signer="ann@example.com",
        made_here=("kits/x/measured",), remembered=2, warnings=("it was signed long ago",),
    )  # fmt: skip
    predictions = Predictions(
        bundle="out/bundle", sha256="a" * 64, name="flowers", version=3, candidate="onnxruntime-int8", kit="k", knobs={},
        confinement=Confinement(landlock=7),
        predictions=(
            Predicted(file="a.jpg", labels=tuple(LabelShare(label=n, probability=p) for n, p in (("rose", 0.9), ("tulip", 0.1)))),
            Predicted(file="b.jpg", labels=()),
        ),
        unreadable=(Unreadable(file="c.jpg", because="it is cut off"),), skipped=("@eaDir (2 images)",),
    )  # fmt: skip
    sandbox = Confinement(landlock=3, unrestricted=("signals",))
    served = Served(bundle="b", name="flowers", version=3, candidate="onnxruntime-int8", classes=1000, confinement=sandbox)
    benched = BundleBench(
        version="0.1.0", made_at="2026-11-20T09:00:00+00:00", bundle=verified, device="cpu", built_for="cpu", machine="AMD EPYC",
        board=None, environment=HERE, images=BenchImages(source="none", said="no images"), candidates=(a_row(),),
        recorded={"onnxruntime-int8": an_accuracy()}, profiles={}, gates=(a_gate(),), verdict=Verdict.PASS,
        notices=("the governor is powersave",), seconds=1.0, output="bench/1",
    )  # fmt: skip
    return sections(
        {
            "verify": "\n".join(bundle.verification_lines(verified)),
            "warnings": "\n".join(bundle.warning_lines(verified.warnings)),
            "predict": printed(lambda: bundle.show_predictions(predictions, as_csv=False)),
            "predict --csv": printed(lambda: bundle.show_predictions(predictions, as_csv=True)),
            "predict, files that were not read": "\n".join(bundle.unreadable_lines(predictions)),
            "serve": "\n".join(bundle.served_lines("http://127.0.0.1:8000/", served, only_this_machine=True)),
            "serve --host": "\n".join(bundle.exposed_lines("0.0.0.0", 8000)),
            "bench": printed(lambda: bundle.show_bundle_bench(benched)),
        }
    )


def records(_: Path) -> str:
    """Evidence: a signed record as it was written, and one of an emulated machine with failures."""
    weights = EvidenceWeights(origin="published", what="ImageNet-1k weights (X)", sha256="5c1", licence="BSD-3-Clause")
    emulated = an_evidence(
        a_network(an_emulated_kit(), weights=weights, failed={"openvino-int8": "it fails its own test"}),
        environment=EMULATED, sha256="b" * 64,
        left_out={"resnet-50": "no time was left"}, warnings=("the governor is powersave",),
    )  # fmt: skip
    checks = {
        "signed": EvidenceVerification(path="pi.json", signature="good", signer="ann@x", record=an_evidence(sha256="a" * 64)),
        "emulated": EvidenceVerification(path="qemu.json", signature="none", record=emulated),
    }
    signatures = {"intact": {"key": "SHA256:x"}, "unchecked": {}, "none": {}}
    first = [
        next(bundle.evidence_lines(checks["signed"].model_copy(update={"signature": signature, "signer": None, **known})))
        for signature, known in signatures.items()
    ]
    texts = {name: "\n".join(bundle.evidence_lines(check)) for name, check in checks.items()}
    return sections({**texts, "other signatures": "\n".join(first)})


def side_questions(_: Path) -> str:
    """Scale, ten-crop, ensemble, look, cost and loadgen."""
    interval = an_interval(0.9, 0.88, 0.92, 0.95)
    ten_crop = TenCrop(
        build="out", network="resnet-18", images=1000, single_top1=interval, ten_top1=interval,
        difference_pp=an_interval(0.5, -0.1, 1.1, 0.9), gained=12, lost=7, macs=1000, ten_macs=10_000, without_room=3,
    )  # fmt: skip
    rows = [EnsembleRow(name=n, folder=f, parameters=10, macs=5, size_bytes=1 << 20, accuracy_top1=interval) for n, f in _MEMBERS]
    ensemble = Ensemble(
        file="e.onnx", images=60, chance_top1=0.1, whole=rows[-1], members=tuple(rows[:-1]), best="a", command="edgecnn build",
        difference_pp=an_interval(0.5, -0.1, 1.1, 0.9),
    )  # fmt: skip
    look = FeaturePictures(
        build="out", network="resnet-18", trunk="t", resolution_px=64, images=100,
        filters=FilterPictures(layer="conv1", filters=64, colours=3, rows=7, columns=7, weights="w.npy", picture="filters.png"),
        maps=(
            MapPictures(
                tensor="t", after="conv1", channels=64, rows=32, columns=32, jump_px=2, receptive_field_px=7, constant_channels=1,
                drawn=(ChannelPictures(channel=0, strongest=()),), picture="conv1.png",
            ),
        ),
    )  # fmt: skip
    layer = LayerCost(
        name="conv1", op="Conv", parameters=9408, macs=118_013_952, output=(1, 64, 112, 112), output_bytes=1 << 20,
        live_bytes=2 << 20, receptive_field_px=7, arithmetic=(),
    )  # fmt: skip
    cost = NetworkCost(
        network="resnet-18", scale="phi=1", resolution_px=224, parameters=9408, macs=118_013_952, activation_bytes=2 << 20,
        activation_peak="conv1", receptive_field_px=None, layers=(layer,), not_counted={"Relu": 17},
    )  # fmt: skip
    search = a_search()
    return sections(
        {
            "scale": printed(lambda: studies.show_search(search)),
            "scale, page": page_text(frontier_page(search)),
            "ten-crop": printed(lambda: studies.show_ten_crop(ten_crop)),
            "ensemble": printed(lambda: studies.show_ensemble(ensemble)),
            "look": printed(lambda: studies.show_look(look, Path("out/look"))),
            "cost": printed(lambda: studies.show_cost(cost)),
            "loadgen": printed(lambda: studies.show_loadgen(_loaded(), Path("out/loadgen/1"))),
        }
    )


_MEMBERS = (("a", "builds/a"), ("b", "builds/b"), ("e.onnx", None))


def _loaded() -> Any:
    single = a_load_run(Scenario.SINGLE_STREAM, valid=True, figure=2.0)
    server = tuple(a_load_run(Scenario.SERVER, valid=n == 0, figure=99.0, qps=100 + 50 * n) for n in range(2))
    offline = a_load_run(Scenario.OFFLINE, valid=False, figure=77.7)
    return a_load(
        ScenarioResult(scenario=Scenario.SINGLE_STREAM, valid=True, figure=2.0, unit="ms", runs=(single,), counts=0),
        ScenarioResult(scenario=Scenario.SERVER, valid=True, figure=99.0, unit="images/s", runs=server, counts=0),
        ScenarioResult(
            scenario=Scenario.OFFLINE, valid=False, figure=None, unit="images/s", reason="Increase expected QPS", runs=(offline,)
        ),
        ScenarioResult(scenario=Scenario.MULTI_STREAM, valid=False, figure=None, unit="ms", reason="too slow", runs=()),
    )


def forecasts(_: Path) -> str:
    """One of each basis, and the legend under a table of candidates."""
    forecast_report = ForecastReport(
        forecasts=tuple(a_forecast(24.1, 17.9, 31.2, basis=basis) for basis in ForecastBasis),
        without=(),
        timed_here=("mobilenet-v2",),
        not_timed_here={"vgg-16": "edgecnn ships no file of it to time"},
        notes=("the tables date from 2026",),
    )
    away = facts("ncnn-fp16", latency=a_latency(None, reason="not measured"), forecast=forecast_report.forecasts[-1])
    return sections(
        {
            "forecast": printed(lambda: networks.show_forecasts(forecast_report, date(2026, 11, 30))),
            "legend": "\n".join(legend([away])),
        }
    )


def catalogue(_: Path) -> str:
    """Two networks and one build of the reader's own."""
    rows = [listed(arch_named(name)) for name in ("resnet-50", "alexnet-2012-ungrouped")]
    return page_text(catalogue_page(rows, (MINE,)))


SURFACES: dict[str, Surface] = {
    "screen/compare": compare,
    "screen/judge-against": against,
    "screen/history": over_time,
    "screen/fit": searched,
    "screen/sweep": swept,
    "screen/bundle": shipped,
    "screen/evidence": records,
    "screen/studies": side_questions,
    "screen/forecast": forecasts,
    "page/catalogue": catalogue,
}
