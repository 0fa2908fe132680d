"""Records of other days stand beside a build of the same network on the same device, never in the place of its own figures."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bench.evidence import NETWORKS
from edgecnn.building import dated_records as of_records
from edgecnn.building.dated_records import dated_order, dated_records, dated_references, machine_of, measured_times
from edgecnn.building.desktop_gpu import desktop_baseline
from edgecnn.building.forecasts import catalogue_network
from edgecnn.bundle.evidence import EvidenceRecord
from edgecnn.devices.desktop_gpu import REFERENCE, VARIANTS
from edgecnn.devices.files import device_named
from edgecnn.judging.desktop_baseline import BaselineRecord
from edgecnn.measure.subject import Subject
from edgecnn.planning.candidates import BASELINE
from edgecnn.values.figures import Steady
from edgecnn.values.profile import DatedReference, Environment
from edgecnn.values.reason import DatedOrder
from edgecnn.values.recipe import GateChoice, Recipe
from edgecnn.values.verdict import Fidelity, Verdict
from tests.building.resolutions import INT8
from tests.building.scenes import ELSEWHERE, HERE, Staging, a_report_of, a_request
from tests.bundle.evidence_records import (
    EMULATED,
    a_network,
    an_emulated_kit,
    an_evidence,
    an_evidence_kit,
    edited,
    written,
)
from tests.bundle.test_signing import allow, needs_ssh_keygen
from tests.judging.made import a_latency, an_interval

AMP = next(each for each in VARIANTS if each.id == "torch-amp-cudagraph")
PI = device_named("raspberry-pi-5")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own records; there are no others."""
    monkeypatch.setattr(of_records, "resource_folder", lambda name: tmp_path / "shipped" / name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = tmp_path / "config" / "edgecnn" / "baselines"
    made.mkdir(parents=True)
    return made


def staged(tmp_path: Path, **changes: Any) -> Staging:
    found = Staging(tmp_path / "build", **{"device": PI, "attachment": ELSEWHERE, **changes})
    found.answered(BASELINE.id, 900)
    found.answered(INT8.id, 900)
    return found


def references(tmp_path: Path, **changes: Any) -> tuple[DatedReference, ...]:
    seen = staged(tmp_path, **changes).seen
    return dated_references(seen, dated_records(seen.resolved.device.name).evidence)


def test_a_record_of_the_device_and_the_network_is_shown_candidate_by_candidate(tmp_path: Path, folder: Path) -> None:
    written(folder / "pi.json")
    found = references(tmp_path)
    assert [each.candidate for each in found] == [BASELINE.id, INT8.id]
    int8 = found[1]
    assert int8.p50_ms is not None and int8.p50_ms.estimate == 2.0
    assert (int8.machine, int8.observed_at, int8.signed_by) == ("a board, a cpu", "2026-11-20T09:00:00+00:00", None)
    assert (int8.weights, int8.runtime_version, int8.runs, int8.fidelity) == ("seeded", "1.23.0", 8, Fidelity.MEASURED)


OTHERS: dict[str, EvidenceRecord] = {
    "another device": an_evidence(device="raspberry-pi-4"),
    "another network": an_evidence(a_network(arch="mobilenet-v2")),
    "another resolution": an_evidence(a_network(resolution_px=224)),
    "another candidate": an_evidence(a_network(an_evidence_kit("openvino-int8"))),
    "a kit without a median": an_evidence(a_network(an_evidence_kit(latency=a_latency(None, reason="a run has 10 samples")))),
}


@pytest.mark.parametrize("of", OTHERS)
def test_a_record_of_something_else_is_not(tmp_path: Path, folder: Path, of: str) -> None:
    written(folder / "pi.json", OTHERS[of])
    assert references(tmp_path) == ()


def test_of_a_network_that_surgery_changed_nothing_is_known(tmp_path: Path, folder: Path) -> None:
    """Neither of its device nor of the GPU that plays the baseline: both records are of the network as it was."""
    written(folder / "pi.json")
    written(folder / "gpu.json", a_gpu_s("rtx-4090"))
    recipe = Recipe.model_validate(
        {
            "model": {"arch": "mobilenet-v3-small", "resolution_px": 64},
            "train": {"epochs": 2, "learning_rate": 0.01},
            "quantize": {"images": 200},
            "surgery": {"squeeze_excite": "remove", "instead": True, "epochs": 1, "learning_rate": 0.1},
        }
    )
    assert references(tmp_path, recipe=recipe) == ()
    seen = staged(tmp_path / "again", recipe=recipe).seen
    played = desktop_baseline(seen, dated_records(PI.name).desktop)
    assert (played.latency.p50_ms, played.variants) == (None, ())


def test_of_each_machine_the_newest_is_shown_by_each_kit_s_own_date(tmp_path: Path, folder: Path) -> None:
    """An offset from UTC counts, and the record's date does not: it may hold figures of the day before."""
    for number, (when, ms) in enumerate(
        (("2026-11-20T09:00:00+00:00", 4.0), ("2026-11-25T09:00:00-05:00", 3.0), ("2026-11-25T10:00:00+00:00", 5.0))
    ):
        kit = an_evidence_kit(latency=a_latency(an_interval(ms), observed_at=when))
        written(folder / f"{number}.json", an_evidence(a_network(kit), measured_at=f"2026-11-2{7 - number}T09:00:00+00:00"))
    second = Environment(conditions={**HERE.conditions, "machine": "m2"}, observed={})
    written(folder / "second.json", an_evidence(a_network(an_evidence_kit(p50_ms=9.0)), environment=second))
    found = references(tmp_path)
    assert [each.p50_ms.estimate for each in found if each.p50_ms] == [3.0, 9.0]


def test_a_shipped_record_says_which_runs_did_not_settle_and_so_does_a_reference_to_it() -> None:
    evidence = dated_records(PI.name).evidence
    kits = [kit for each in evidence for network in each.record.networks for kit in network.kits]
    assert [kit.latency.steady is not None and kit.latency.steady.unsteady is not None for kit in kits].count(True) == 10


def test_on_how_many_threads_it_ran_is_known(tmp_path: Path, folder: Path) -> None:
    kit = an_evidence_kit(latency=a_latency(an_interval(4.0), run_settings="4 threads"))
    written(folder / "pi.json", an_evidence(a_network(kit)))
    assert [each.run_settings for each in references(tmp_path)] == ["4 threads"]


def test_runs_that_did_not_settle_stay_marked(tmp_path: Path, folder: Path) -> None:
    unsettled = Steady(flat=6, faster=0, slower=0, unsettled=2, short=0, late=0, after_ms=None, says="does not settle: 2 of 8")
    kit = an_evidence_kit(latency=a_latency(an_interval(4.0), steady=unsettled))
    written(folder / "pi.json", an_evidence(a_network(kit)))
    assert [each.unsteady for each in references(tmp_path)] == ["does not settle: 2 of 8"]


def test_what_an_emulator_took_is_nobody_s_figure(tmp_path: Path, folder: Path) -> None:
    written(folder / "pi.json", an_evidence(a_network(an_emulated_kit()), environment=EMULATED))
    assert references(tmp_path) == ()


def order(seen: Subject) -> DatedOrder | None:
    return dated_order(machine_of(seen), catalogue_network(seen.resolved), dated_records(PI.name).evidence)


def test_a_device_that_is_away_is_chosen_for_by_what_was_fastest_there(tmp_path: Path, folder: Path) -> None:
    another = a_network(an_evidence_kit(), an_evidence_kit(INT8.id, 40.0), arch="resnet-18")
    written(folder / "pi.json", an_evidence(a_network(), another))
    stage = staged(tmp_path)
    assert order(stage.seen) == DatedOrder(
        relative={BASELINE.id: 1.0, INT8.id: 0.5}, networks=("mobilenet-v3-small",), machine="a board", observed_on="2026-11-20"
    )
    report = a_report_of(stage, a_request(tmp_path / "out", device=PI))
    assert (report.choice.state, report.choice.candidate) == ("provisional", INT8.id)


def test_of_another_network_the_mean_over_the_record_s_networks_orders(tmp_path: Path, folder: Path) -> None:
    networks = [a_network(an_evidence_kit(), an_evidence_kit(INT8.id, ms), arch=name) for name, ms in (("a", 8.0), ("b", 32.0))]
    written(folder / "pi.json", an_evidence(*networks))
    stage = staged(tmp_path)
    found = order(stage.seen)
    assert found is not None and found.networks == ("a", "b")
    assert found.relative == {BASELINE.id: 1.0, INT8.id: pytest.approx(4.0)}
    report = a_report_of(stage, a_request(tmp_path / "out", device=PI))
    assert report.choice.candidate == BASELINE.id


def test_a_network_that_lacks_a_candidate_s_time_is_not_counted_and_not_named(tmp_path: Path, folder: Path) -> None:
    whole = a_network(an_evidence_kit(), an_evidence_kit(INT8.id, 8.0), an_evidence_kit("litert-int8", 2.0), arch="a")
    flattering = a_network(an_evidence_kit(), an_evidence_kit(INT8.id, 0.1), arch="b")
    alone = a_network(an_evidence_kit())  # the build's own network, in fp32 alone
    written(folder / "pi.json", an_evidence(whole, flattering, alone))
    found = order(staged(tmp_path).seen)
    assert found is not None and found.networks == ("a",)
    assert found.relative == {BASELINE.id: 1.0, INT8.id: pytest.approx(2.0), "litert-int8": pytest.approx(0.5)}


def test_the_newest_record_orders_and_one_without_fp32_or_of_an_emulator_does_not(tmp_path: Path, folder: Path) -> None:
    written(folder / "old.json", an_evidence(measured_at="2026-11-19T09:00:00+00:00"))
    slower = a_network(an_evidence_kit(), an_evidence_kit(INT8.id, 5.0))
    written(folder / "new.json", an_evidence(slower, measured_at="2026-11-21T09:00:00+00:00"))
    stage = staged(tmp_path)
    found = order(stage.seen)
    assert found is not None and (found.observed_on, found.relative[INT8.id]) == ("2026-11-21", 1.25)
    for path in folder.glob("*.json"):
        path.unlink()
    written(folder / "alone.json", an_evidence(a_network(an_evidence_kit(INT8.id))))
    written(folder / "emulated.json", an_evidence(a_network(an_emulated_kit(), an_evidence_kit(INT8.id)), environment=EMULATED))
    assert order(stage.seen) is None


def test_a_record_that_was_changed_is_named_and_stops_nothing(tmp_path: Path, folder: Path) -> None:
    edited(written(folder / "pi.json"), lambda it: it.update(minutes=1.0))
    (folder / "note.json").write_text('{"schema": "edgecnn.baseline/1"}')
    (folder / "deep.json").write_text("[" * 100_000)
    written(folder / "good.json")
    found = dated_records(PI.name)
    assert len(found.evidence) == 1
    assert found.damaged == (
        "the record deep.json is ignored: it is not valid JSON (RecursionError)",
        "the record note.json is ignored: device: Field required",
        "the record pi.json is ignored: its content does not match its sha256",
    )
    report = a_report_of(staged(tmp_path), a_request(tmp_path / "out", device=PI))
    assert [each for each in report.notices if each in found.damaged] == list(found.damaged)
    assert [each.candidate for each in report.references] == [BASELINE.id, INT8.id]


def a_build_s_record(observed_at: str = "2026-11-20T09:00:00+00:00") -> BaselineRecord:
    latency = a_latency(an_interval(1.0), observed_at=observed_at)
    return BaselineRecord(device="rtx-4090", arch="resnet-18", resolution_px=224, latency=latency, how="eager", source="a build")


def test_a_record_of_a_desktop_gpu_lies_in_the_same_folder(folder: Path) -> None:
    record = a_build_s_record()
    (folder / "gpu.json").write_text(record.model_dump_json(by_alias=True))
    written(folder / "pi.json")
    found = dated_records(PI.name)
    assert (found.desktop, len(found.evidence), found.damaged) == ((record,), 1, ())


def test_a_record_that_cannot_be_signed_is_no_way_around_the_signers(folder: Path) -> None:
    (folder / "gpu.json").write_text(a_build_s_record().model_dump_json(by_alias=True))
    (folder / "allowed_signers").touch()
    found = dated_records(PI.name)
    assert found.desktop == ()
    assert found.damaged == (
        "the record gpu.json is ignored: edgecnn.baseline/1 cannot be signed, and allowed_signers requires a signature",
    )


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("zz", "'zz' is not a date"),
        ("2026-11-20T09:00:00", "'2026-11-20T09:00:00' has no offset from UTC"),
        ("9999-01-01T00:00:00+00:00", "'9999-01-01T00:00:00+00:00' is in the future"),
    ],
)
def test_a_date_that_would_pass_for_the_newest_is_refused(folder: Path, when: str, why: str) -> None:
    (folder / "a.json").write_text(a_build_s_record(when).model_dump_json(by_alias=True))
    written(folder / "b.json", an_evidence(measured_at=when))
    written(folder / "c.json", an_evidence(a_network(an_evidence_kit(latency=a_latency(an_interval(1.0), observed_at=when)))))
    found = dated_records(PI.name)
    assert (found.desktop, found.evidence) == ((), ())
    assert found.damaged == (
        f"the record a.json is ignored: latency.observed_at {why}",
        f"the record b.json is ignored: measured_at {why}",
        f"the record c.json is ignored: onnxruntime-fp32 of mobilenet-v3-small: observed_at {why}",
    )


def a_gpu_s(device: str) -> EvidenceRecord:
    kits = (an_evidence_kit(candidate=REFERENCE, p50_ms=3.0), an_evidence_kit(candidate=AMP, p50_ms=0.5))
    return an_evidence(a_network(*kits), device=device)


def test_what_a_gpu_did_stands_beside_a_board_s_candidates_whatever_its_processor_is(tmp_path: Path, folder: Path) -> None:
    written(folder / "gpu.json", a_gpu_s("h200"))
    assert {each.candidate for each in references(tmp_path)} == {"torch-fp32", "torch-amp-cudagraph"}


def test_of_a_gpu_s_machine_nothing_but_the_gpu_is_told_of_other_devices(tmp_path: Path, folder: Path) -> None:
    written(folder / "gpu.json", an_evidence(a_network(an_evidence_kit(BASELINE.id), an_evidence_kit(INT8.id)), device="h200"))
    assert references(tmp_path) == ()


def test_a_record_with_words_that_this_edgecnn_does_not_know_stops_nothing(folder: Path) -> None:
    newer = REFERENCE.model_copy(update={"session_options": {"precision": "fp8", "compile": "later"}})
    written(folder / "gpu.json", an_evidence(a_network(an_evidence_kit(candidate=newer)), device="h200"))
    (played,) = dated_records(PI.name).desktop
    assert played.how.startswith("compiled by later, fp8, one image per call")


def test_evidence_of_the_baseline_s_own_gpu_plays_it(tmp_path: Path, folder: Path) -> None:
    written(folder / "gpu.json", a_gpu_s("rtx-4090"))
    report = a_report_of(staged(tmp_path), a_request(tmp_path / "out", device=PI))
    played = report.baseline
    assert played is not None and played.latency.p50_ms is not None
    assert (played.device, played.latency.p50_ms.estimate) == ("rtx-4090", 3.0)
    assert played.how is not None and "eager torch" in played.how
    assert played.how.endswith("; evidence, seeded weights, unsigned")
    assert [each.id for each in played.variants] == ["torch-amp-cudagraph"]


def test_shipped_records_are_whole_and_of_six_networks_on_a_gpu() -> None:
    found = dated_records(PI.name)
    assert found.damaged == ()
    assert {record.arch for record in found.desktop if record.device == "h200"} == set(NETWORKS)


def test_no_gate_takes_a_reference_and_no_choice_is_settled_by_it(tmp_path: Path, folder: Path) -> None:
    """A limit that the reference would meet stays MISSING, and the choice provisional."""
    gates = GateChoice.model_validate({"max": {"p50_ms": 100.0}})
    asked = a_request(tmp_path / "out", device=PI, gates=gates)
    written(folder / "pi.json")
    report = a_report_of(staged(tmp_path), asked)
    assert len(report.references) == 2
    assert [(each.gate.metric, each.verdict) for each in report.gates] == [("p50_ms", Verdict.MISSING)]
    assert (report.choice.state, report.choice.carried) == ("provisional", (INT8.id, BASELINE.id))
    assert all(row.latency is None or row.latency.p50_ms is None for row in report.candidates)


def test_a_report_without_references_is_as_it_was_before_there_were_any(tmp_path: Path, folder: Path) -> None:
    report = a_report_of(staged(tmp_path), a_request(tmp_path / "out", device=PI))
    assert "references" not in report.model_dump(mode="json")


@needs_ssh_keygen
def test_a_later_unsigned_record_does_not_take_a_signed_one_s_place(tmp_path: Path, folder: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "ann")], check=True)
    written(folder / "ann.json", key=tmp_path / "ann")
    later = a_latency(an_interval(1.0), observed_at="2026-11-25T09:00:00+00:00")
    written(folder / "later.json", an_evidence(a_network(an_evidence_kit(latency=later))))
    assert [each.p50_ms.estimate for each in references(tmp_path) if each.p50_ms] == [4.0, 2.0]


@needs_ssh_keygen
def test_a_signed_record_names_its_key_and_where_signers_are_named_their_names_alone(tmp_path: Path, folder: Path) -> None:
    for name in ("ann", "bob"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    written(folder / "ann.json", key=tmp_path / "ann")
    assert {str(each.signed_by)[:11] for each in references(tmp_path)} == {"key SHA256:"}
    allow(folder / "allowed_signers", "ann@example.com", tmp_path / "ann.pub")
    written(folder / "bob.json", key=tmp_path / "bob")
    written(folder / "nobody.json")
    found = dated_records(PI.name)
    assert [each.vouched_by for each in found.evidence] == ["ann@example.com"]
    assert len(found.damaged) == 2
    assert found.damaged[1] == "the record nobody.json is ignored: it contains no signature"


def test_a_forecast_takes_times_of_real_machines_that_are_like_the_device(folder: Path) -> None:
    written(folder / "pi.json")
    assert {(time.device, time.arch) for time in measured_times(PI)} == {(PI.name, an_evidence().networks[0].arch)}
    conditions = an_evidence().environment.conditions
    strange = {
        "emulated": an_evidence(environment=EMULATED),
        "cores": an_evidence(environment=Environment(conditions={**conditions, "cores": "8"}, observed={})),
    }
    for record in strange.values():
        written(folder / "pi.json", record)
        assert measured_times(PI) == ()
    intel = device_named("intel-cpu")
    written(folder / "pi.json", an_evidence(device=intel.name))
    assert measured_times(intel) == ()  # of which processor, nobody knows


def test_a_forecast_takes_the_shipped_times_of_a_gpu() -> None:
    assert measured_times(device_named("h200"))
