"""What judging one build against another says, with times that are told instead of taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.comparing.comparison import NO_RACE_NEEDED, NOT_RACED, AgainstRequest, judge_against
from edgecnn.comparing.paired_answers import CommonImages, PairedAnswers
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import DEVICES_DIFFER, BundleUnreadable, KitNotCarried, NoBuildToCompare
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.judging.accuracy import Answers
from edgecnn.judging.gates import exit_code_of, parse_bounds
from edgecnn.judging.metrics import exactly
from edgecnn.results.shipped import shipped_kit
from edgecnn.runner.runs.items import Item
from edgecnn.values.candidate import Candidate, Knobs
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import Comparison, ShippedKitFacts
from edgecnn.values.verdict import Fidelity, Verdict
from tests.building.bundles import built_at_chance_level, built_for, make_bundle, reseal, write_choice
from tests.building.races import RacingHost, racing_lab, two_bundles
from tests.runner.kits import rewrite_manifest
from tests.store.toys import Ear


def judged(folder: Path, host: RacingHost, head: Path, base: Path, *bounds: str, rounds: int | None = None) -> Comparison:
    gates = parse_bounds(bounds, (), compared=True) if bounds else GateChoice()
    return judge_against(AgainstRequest(head=head, base=base, gates=gates, rounds=rounds), racing_lab(host, folder))


def test_a_head_that_is_a_tenth_slower_fails_at_the_first_look(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    host = RacingHost(head=1.1, base=1.0)
    found = judged(tmp_path, host, head, base)
    assert (found.verdict, exit_code_of(found.gates)) == (Verdict.FAIL, 1)
    assert found.ratio is not None
    assert found.ratio.estimate == pytest.approx(1.1)
    assert found.rounds == 16
    assert len(host.ran) == 34, "one run of each beforehand says how long a run must be"
    assert Comparison.model_validate_json(found.model_dump_json(by_alias=True)) == found


@pytest.mark.parametrize(("rounds", "reached"), [(8, 2 / 128), (24, 602 / 65536), (48, 412 / 65536), (200, 220 / 65536)])
def test_each_look_is_taken_at_the_confidence_that_all_planned_looks_leave_it(
    tmp_path: Path, rounds: int, reached: float
) -> None:
    """One look of 2 %, two of 1 %, three of 0.67 %, five of 0.4 %: at 8 and at 16 pairs, the next finer share of all signs."""
    head, base = two_bundles(tmp_path)
    found = judged(tmp_path, RacingHost(head=1.0, base=1.0), head, base, rounds=rounds)
    assert found.ratio is not None
    assert found.ratio.confidence == pytest.approx(1 - reached)


def test_unless_told_the_ratio_may_be_3_percent_and_is_required(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    (gate,) = judged(tmp_path, RacingHost(head=1.02, base=1.0), head, base).gates
    assert (gate.verdict, gate.gate.bound, gate.gate.required, gate.gate.stated_by) == (Verdict.PASS, 1.03, "always", "default")
    (told,) = judged(tmp_path, RacingHost(head=1.02, base=1.0), head, base, "latency_ratio=1.01").gates
    assert (told.verdict, told.gate.stated_by) == (Verdict.FAIL, "command line")


def test_stated_bounds_replace_the_default_gate_on_the_ratio(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    found = judged(tmp_path, RacingHost(head=1.0, base=1.0), head, base, "size_mib=1", "p50_ms=0.5")
    assert [(each.gate.metric, each.verdict) for each in found.gates] == [
        ("p50_ms", Verdict.FAIL),
        ("size_mib", Verdict.PASS),
    ]


def test_what_is_open_is_looked_at_again_until_the_rounds_are_used_up(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    host, ear = RacingHost(head=1.0, base=1.0), Ear()
    host.wobble["head"] = (0.9, 1.2)
    found = judge_against(AgainstRequest(head=head, base=base, rounds=24), racing_lab(host, tmp_path, ear))
    assert (found.verdict, found.rounds, exit_code_of(found.gates)) == (Verdict.UNSURE, 24, 4)
    assert [note for note in ear.notes if note.startswith("race ")] == [
        "race onnxruntime-fp32 of BASE and onnxruntime-fp32 of HEAD to decide latency_ratio ≤ 1.03: rounds 1 to 16",
        "race onnxruntime-fp32 of BASE and onnxruntime-fp32 of HEAD to decide latency_ratio ≤ 1.03: rounds 17 to 24",
    ]


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize(("bound", "rounds"), [("p50_ms=2", 16), ("peak_memory_mib=1000", 16)])
def test_a_bound_on_latency_of_head_alone_races_as_many_rounds_as_it_needs(
    tmp_path: Path, bound: str, rounds: int, *, same: bool
) -> None:
    head, base = two_bundles(tmp_path)
    found = judged(tmp_path, RacingHost(head=1.0, base=1.0), head, head if same else base, bound)
    assert (found.verdict, found.rounds, found.latency.runs) == (Verdict.PASS, rounds, rounds)


def test_a_network_that_takes_a_third_of_a_second_is_given_the_time_for_a_median(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    host = RacingHost(head=240.0, base=240.0)
    host.wobble["head"] = (1.25, 1.25, 1.25, 1.0)
    found = judged(tmp_path, host, head, base)
    assert (found.verdict, found.rounds) == (Verdict.FAIL, 16)
    assert found.latency.p50_ms is not None


def test_one_that_never_reaches_a_median_is_open_and_says_so(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    found = judged(tmp_path, RacingHost(head=4000.0, base=1.0), head, base, rounds=8)
    assert (found.verdict, exit_code_of(found.gates)) == (Verdict.UNSURE, 4)
    assert found.gates[0].reason.startswith("8 of 16 runs have fewer than 20 samples")


@pytest.mark.parametrize("metric", ["drop_pp", "worst_class_drop_pp"])
def test_the_same_files_differ_in_nothing_by_definition_and_nothing_runs(tmp_path: Path, metric: str) -> None:
    """Without stored answers and without a race: a pull request that changes no kit is green."""
    base, host = make_bundle(tmp_path / "base"), RacingHost(base=1.0)
    found = judged(tmp_path, host, base, base, f"{metric}=0", "latency_ratio=1", "size_mib=1")
    assert (found.verdict, exit_code_of(found.gates), host.calls, found.rounds) == (Verdict.PASS, 0, [], 0)
    by_metric = {each.gate.metric: each.fidelity for each in found.gates}
    assert by_metric == {"latency_ratio": Fidelity.DEFINED, metric: Fidelity.DEFINED, "size_mib": Fidelity.MEASURED}
    assert (found.identical, found.ratio, found.drop_pp) == (True, exactly(1.0), exactly(0.0))
    assert (found.changed, found.drop_absent, found.latency.reason) == ((), None, NOT_RACED)
    assert Comparison.model_validate_json(found.model_dump_json(by_alias=True)) == found


def test_the_same_files_break_a_bound_that_wants_a_faster_head(tmp_path: Path) -> None:
    base = make_bundle(tmp_path / "base")
    found = judged(tmp_path, RacingHost(base=1.0), base, base, "latency_ratio=0.95")
    assert (found.verdict, exit_code_of(found.gates)) == (Verdict.FAIL, 1)


@pytest.mark.parametrize("bound", ["p50_ms=1.5", "peak_memory_mib=1000"])
def test_a_bound_on_head_alone_is_measured_though_base_ships_the_same_files(tmp_path: Path, bound: str) -> None:
    base, host = make_bundle(tmp_path / "base"), RacingHost(base=1.0)
    host.spread = (1.0,)
    found = judged(tmp_path, host, base, base, "latency_ratio=1", bound)
    assert (found.ratio, found.rounds, len(host.ran)) == (exactly(1.0), 16, 33)
    assert [each.fidelity for each in found.gates] == [Fidelity.DEFINED, Fidelity.MEASURED]


def test_a_damaged_kit_is_an_error_though_both_sides_name_the_same_files(tmp_path: Path) -> None:
    base = make_bundle(tmp_path / "base")
    with (base / "kits/onnxruntime-fp32/model.onnx").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(RunnerFailed, match="model.onnx: not the file that was packaged"):
        judged(tmp_path, RacingHost(base=1.0), base, base)


def test_the_same_kit_with_other_knobs_is_raced(tmp_path: Path) -> None:
    head, base = make_bundle(tmp_path / "head"), make_bundle(tmp_path / "base")
    choice = json.loads((head / "choice.json").read_text())
    choice["kits"]["onnxruntime-fp32"]["knobs"] = {"threads": "1"}
    (head / "choice.json").write_text(json.dumps(choice))
    host = RacingHost(head=1.0, base=1.0)
    found = judged(tmp_path, host, head, base)
    assert (found.identical, len(host.ran)) == (False, 34)
    assert found.notices[-1] == "HEAD and BASE ship the same kit, byte for byte, with different knobs"
    host.wobble["head"] = (0.9, 1.2)
    assert judged(tmp_path, host, head, base).rounds == 48, "its knobs may change its speed, so an open ratio goes on"


A_KIT = ShippedKitFacts(name="a", candidate=Candidate(id="x", runtime="onnxruntime", precision="fp32"), kit="1" * 64)
HERE = {"machine": "m1", "kernel": "6.1"}


@pytest.mark.parametrize(
    ("change", "machines", "identical"),
    [
        ({}, (), True),
        ({"name": "b", "device": "cpu"}, (HERE, HERE, HERE), True),
        ({"kit": "2" * 64}, (), False),
        ({"knobs": Knobs(threads=1)}, (), False),
        ({"device": "raspberry-pi-5"}, (), False),
        ({}, (HERE, {**HERE, "kernel": "6.8"}), False),
        ({}, ({}, {}), False),
        ({}, ({"kernel": "6.1"}, {"kernel": "6.1"}), False),
    ],
)
def test_identical_is_the_same_kit_and_knobs_for_one_device_on_one_machine(
    change: dict[str, Any], machines: tuple[dict[str, str], ...], identical: bool
) -> None:
    base = A_KIT if "device" in change and identical else A_KIT.model_copy(update={"device": "cpu"})
    assert A_KIT.model_copy(update={"device": "cpu", **change}).is_identical_to(base, *machines) is identical


def test_a_kit_that_lacks_its_runtime_here_is_missing_with_the_reason_and_nothing_is_raced(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    host = RacingHost(head=1.0, base=1.0)
    host.refuses["head"] = "missing-package"
    found = judged(tmp_path, host, head, base)
    assert (found.verdict, exit_code_of(found.gates)) == (Verdict.MISSING, 3)
    assert found.gates[0].reason == "HEAD: this kit needs openvino>=2026 [missing-package]"
    assert host.ran == []


def test_an_open_latency_names_the_option_that_this_verb_has(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    found = judged(tmp_path, RacingHost(head=1.0, base=1.0), head, base, "p50_ms=1.005")
    assert found.gates[0].verdict is Verdict.UNSURE
    assert "rounds (--rounds " in found.gates[0].reason
    assert "--set" not in found.gates[0].reason


class BusyAtFirst(RacingHost):
    """Other programs take 40 % of the processors' time until the first look, and nothing after it."""

    def _run_one(self, index: int, item: Item, out: Path) -> None:
        self.others = {"head": "40.0", "base": "40.0"} if len(self.ran) <= 34 else {}
        super()._run_one(index, item, out)


def test_one_disturbed_part_of_a_race_speaks_for_all_of_it(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    host = BusyAtFirst(head=1.0, base=1.0)
    host.wobble["head"] = (0.9, 1.2)
    found = judged(tmp_path, host, head, base, "latency_ratio=1.03", "p50_ms=0.8", rounds=24)
    assert (found.rounds, found.gates[1].verdict) == (24, Verdict.UNSURE)
    assert "40 % of the CPU time" in found.gates[1].reason


class BusyInParts(RacingHost):
    """Other programs take another share in each half of a race."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(head=1.0, base=1.0)
        self.parts = first, second
        self.wobble["head"] = (0.9, 1.2)

    def _run_one(self, index: int, item: Item, out: Path) -> None:
        self.others = dict.fromkeys(("head", "base"), self.parts[len(self.ran) > 34])
        super()._run_one(index, item, out)


@pytest.mark.parametrize("parts", [("10.0", "75.0"), ("75.0", "10.0"), ("10.0", "100.0"), ("100.0", "10.0")])
def test_the_busiest_part_of_a_race_speaks_for_all_of_it_in_whichever_order(tmp_path: Path, parts: tuple[str, str]) -> None:
    head, base = two_bundles(tmp_path)
    found = judged(tmp_path, BusyInParts(*parts), head, base, "latency_ratio=1.03", "p50_ms=0.4", rounds=24)
    assert (found.rounds, found.gates[1].verdict) == (24, Verdict.UNSURE)
    assert f"{float(max(parts, key=float)):.0f} % of the CPU time" in found.gates[1].reason


def test_a_kit_that_was_edited_is_an_error_and_no_verdict(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    host = RacingHost(head=1.0, base=1.0)
    host.refuses["head"] = "kit-file-changed"
    with pytest.raises(RunnerFailed):
        judged(tmp_path, host, head, base)


def test_a_kit_that_still_needs_its_engine_is_missing_with_the_command_that_builds_it(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    rewrite_manifest(head / "kits/onnxruntime-fp32", lambda manifest: manifest.update(engine={"precision": "fp16"}))
    reseal(head)
    found = judged(tmp_path, RacingHost(head=1.0, base=1.0), head, base)
    assert exit_code_of(found.gates) == 3
    assert "needs an engine, which only the GPU that runs it can build" in found.gates[0].reason
    assert "python3 -m runner build-engine --out build" in found.gates[0].reason


def test_a_kit_whose_runs_end_in_an_error_is_missing_with_its_words(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    host = RacingHost(head=1.0, base=1.0)
    digest = json.loads((head / "choice.json").read_text())["kits"]["onnxruntime-fp32"]["sha256"]
    host.broken[digest] = "the runtime crashed"
    found = judged(tmp_path, host, head, base)
    assert exit_code_of(found.gates) == 3
    assert found.gates[0].reason == "HEAD did not run: the runtime crashed"


def test_other_work_that_met_head_alone_leaves_it_open(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    host = RacingHost(head=1.1, base=1.0)
    host.others["head"] = "40.0"
    found = judged(tmp_path, host, head, base, rounds=8)
    assert (found.verdict, exit_code_of(found.gates)) == (Verdict.UNSURE, 4)


def test_without_stored_answers_a_drop_is_missing_and_says_why(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    host = RacingHost(head=1.0, base=1.0)
    found = judged(tmp_path, host, head, base, "drop_pp=1")
    (drop,) = found.gates
    assert (host.ran, found.latency.reason) == ([], NO_RACE_NEEDED)
    assert (drop.verdict, exit_code_of(found.gates), found.drop_pp) == (Verdict.MISSING, 3, None)
    assert drop.reason == found.drop_absent and "HEAD" in drop.reason
    assert f"EDGECNN_STORE={tmp_path / 'store'} edgecnn build RECIPE --out builds/rebuilt" in drop.reason


def test_builds_for_two_devices_are_refused_before_anything_runs(tmp_path: Path) -> None:
    head, base = built_for("cpu", tmp_path / "head", width=4), built_for("raspberry-pi-5", tmp_path / "base", width=3)
    host = RacingHost(bundle=1.0)
    with pytest.raises(EdgecnnError, check=DEVICES_DIFFER.made) as refused:
        judged(tmp_path, host, head, base)
    assert (refused.value.fields, host.calls) == ({"head": "cpu", "base": "raspberry-pi-5"}, [])


def test_the_same_kit_of_builds_for_two_devices_is_raced(tmp_path: Path) -> None:
    head, base = built_for("cpu", tmp_path / "head"), built_for("raspberry-pi-5", tmp_path / "base")
    found = judged(tmp_path, RacingHost(bundle=1.0), head, base)
    assert (found.head.kit, found.identical, found.rounds > 0) == (found.base.kit, False, True)


def test_a_bundle_alone_names_no_device_and_is_raced(tmp_path: Path) -> None:
    head, base = built_for("cpu", tmp_path / "head", width=4), make_bundle(tmp_path / "base", width=3)
    assert judged(tmp_path, RacingHost(bundle=1.0, base=1.0), head, base).rounds > 0


def test_a_head_whose_runs_end_in_an_error_is_out_whatever_its_size(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    host = RacingHost(head=1.0, base=1.0)
    host.broken[shipped_kit(head).kit.digest] = "the runtime crashed"
    found = judged(tmp_path, host, head, base, "latency_ratio=1.03", "size_mib=16")
    assert [(gate.verdict, gate.kit_failed) for gate in found.gates] == [(Verdict.MISSING, True), (Verdict.PASS, True)]


@pytest.mark.parametrize("bound", ["latency_ratio=1.03", "p50_ms=1", "peak_memory_mib=100"])
def test_another_processor_decides_no_gate_of_a_device(tmp_path: Path, bound: str) -> None:
    head, base = (built_for("raspberry-pi-5", tmp_path / name, width=width) for name, width in (("head", 4), ("base", 3)))
    host = RacingHost(bundle=1.0)
    found = judged(tmp_path, host, head, base, bound, "size_mib=16")
    by_metric = {result.gate.metric: result for result in found.gates}
    missing = by_metric.pop(bound.partition("=")[0])
    assert (missing.verdict, exit_code_of(found.gates), host.calls) == (Verdict.MISSING, 3, [])
    assert f"edgecnn judge {head} --against {base}" in missing.reason and "raspberry-pi-5" in missing.reason
    assert by_metric["size_mib"].verdict is Verdict.PASS


@pytest.mark.parametrize(("whose", "verdict"), [("head", Verdict.FAIL), ("base", Verdict.MISSING)])
def test_answers_that_are_no_numbers_leave_the_ratio_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str, verdict: Verdict
) -> None:
    logits = {"head": np.eye(3, dtype=np.float32), "base": np.eye(3, dtype=np.float32)}
    logits[whose][1, 0] = np.nan
    told = {
        name: Answers(candidate="onnxruntime-fp32", logits=each, pixels="p", machine="m", fidelity=Fidelity.MEASURED)
        for name, each in logits.items()
    }
    found_answers = PairedAnswers(**told, labels=np.arange(3), names=("a", "b", "c"), images=tmp_path / "gone.npy")
    monkeypatch.setattr("edgecnn.comparing.comparison.paired_answers", lambda *_: found_answers)
    head, base = two_bundles(tmp_path)
    found = judged(tmp_path, RacingHost(head=1.0, base=1.0), head, base, "latency_ratio=1.03", "drop_pp=1")
    gates = {each.gate.metric: each for each in found.gates}
    assert (gates["latency_ratio"].verdict, gates["drop_pp"].verdict) == (Verdict.PASS, verdict)
    assert "for image 1 of the test split contain nan" in gates["drop_pp"].reason
    if whose == "head":
        same = judged(tmp_path, RacingHost(head=1.0), head, head, "latency_ratio=1.03", "drop_pp=1")
        assert ([each.verdict for each in same.gates], same.drop_pp) == ([Verdict.PASS, Verdict.FAIL], None)


@pytest.mark.parametrize(("right", "verdicts"), [(20, ["UNSURE", "PASS"]), (0, ["FAIL", "PASS"]), (40, ["PASS"])])
def test_a_head_at_chance_level_passes_nothing_whatever_base_does(
    right: int, verdicts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.arange(60) % 3
    named = (labels + (np.arange(60) >= right)) % 3
    told = {
        name: Answers(candidate="onnxruntime-fp32", logits=np.eye(3, dtype=np.float32)[answers], pixels="p", machine="m")
        for name, answers in (("head", named), ("base", labels))
    }
    answers = PairedAnswers(**told, labels=labels, names=("a", "b", "c"), images=tmp_path / "gone.npy")
    monkeypatch.setattr("edgecnn.comparing.comparison.paired_answers", lambda *_: answers)
    head, base = two_bundles(tmp_path)
    found = judged(tmp_path, RacingHost(head=1.0, base=1.0), head, base)
    assert ([gate.verdict for gate in found.gates], found.verdict) == (verdicts, verdicts[0])


def test_without_stored_answers_the_report_of_head_says_that_it_is_at_chance_level(tmp_path: Path) -> None:
    head = built_at_chance_level(tmp_path / "head")
    found = judged(tmp_path, RacingHost(bundle=1.0, base=1.0), head, make_bundle(tmp_path / "base"))
    assert (found.gates[0].gate.stated_by, found.verdict) == ("chance", Verdict.UNSURE)


def test_of_bundles_alone_the_kits_say_what_changed(tmp_path: Path) -> None:
    head, base = two_bundles(tmp_path)
    found = judged(tmp_path, RacingHost(head=1.0, base=1.0), head, base)
    (line,) = found.changed
    assert line.startswith("model: ")


def test_a_bundle_inside_a_build_is_named_after_the_build(tmp_path: Path) -> None:
    make_bundle(tmp_path / "flowers" / "bundle")
    host = RacingHost(bundle=1.0)
    found = judged(tmp_path, host, tmp_path / "flowers", tmp_path / "flowers" / "bundle")
    assert (found.head.name, found.base.name) == ("flowers", "flowers")


def test_a_folder_that_is_no_build_is_named(tmp_path: Path) -> None:
    base = make_bundle(tmp_path / "base")
    with pytest.raises(NoBuildToCompare):
        judged(tmp_path, RacingHost(base=1.0), tmp_path, base)


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda choice: choice.update(schema="edgecnn.choice/2"), "its schema is not edgecnn.choice/1"),
        (lambda choice: choice.pop("kits"), "it lacks 'kits'"),
        (lambda choice: choice["kits"]["onnxruntime-fp32"].update(folder="../.."), "it names '../..', which leaves the bundle"),
        (lambda choice: choice["kits"]["onnxruntime-fp32"].update(sha256="0" * 64), "in choice.json 000000000000…"),
        (lambda choice: choice["kits"]["onnxruntime-fp32"].update(folder="kits/gone"), "no such file or directory"),
    ],
)
def test_a_bundle_that_was_tampered_with_is_refused(tmp_path: Path, change: object, because: str) -> None:
    base = make_bundle(tmp_path / "base")
    choice = json.loads((base / "choice.json").read_text())
    change(choice)  # type: ignore[operator]
    (base / "choice.json").write_text(json.dumps(choice))
    with pytest.raises(BundleUnreadable) as refused:
        judged(tmp_path, RacingHost(base=1.0), base, base)
    assert because in refused.value.line()


def test_a_bundle_of_which_nothing_was_chosen_has_nothing_to_race(tmp_path: Path) -> None:
    base = make_bundle(tmp_path / "base", chosen=None)
    write_choice(base, None, {})
    with pytest.raises(KitNotCarried) as refused:
        judged(tmp_path, RacingHost(base=1.0), base, base)
    assert refused.value.exit_code == 3


def test_a_bundle_alone_does_not_say_that_its_answers_are_the_device_s_own(tmp_path: Path) -> None:
    assert not shipped_kit(make_bundle(tmp_path / "bundle")).attached


def test_where_the_test_splits_differ_a_bound_on_head_alone_is_judged_on_its_whole_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.arange(400) % 3
    head_answers = np.where(np.arange(400) < 200, labels, (labels + 1) % 3)  # right on the images that both sides hold alone
    logits = {"head": np.eye(3, dtype=np.float32)[head_answers], "base": np.eye(3, dtype=np.float32)[labels[:200]]}
    told = {name: Answers(candidate="onnxruntime-fp32", logits=each, pixels=name, machine="m") for name, each in logits.items()}
    rows = np.arange(200)
    common = CommonImages(head=rows, base=rows, base_labels=labels[:200], base_pixels=tmp_path / "gone.npy", groups=None)
    answers = PairedAnswers(
        head=told["head"], base=told["base"], labels=labels, names=("a", "b", "c"), images=tmp_path / "gone.npy", common=common
    )
    monkeypatch.setattr("edgecnn.comparing.comparison.paired_answers", lambda *_: answers)
    head, base = two_bundles(tmp_path)
    request = AgainstRequest(head=head, base=base, gates=parse_bounds(["drop_pp=5"], ["top1=0.9"], compared=True))
    found = judge_against(request, racing_lab(RacingHost(head=1.0, base=1.0), tmp_path))
    verdicts = {gate.gate.metric: gate.verdict for gate in found.gates}
    assert (verdicts["drop_pp"], verdicts["top1"]) == (Verdict.PASS, Verdict.FAIL)
    assert any("200 images that both test splits hold (200 in BASE, 400 in HEAD)" in notice for notice in found.notices)


def test_a_class_that_only_one_side_has_decides_no_gate_on_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, rows = np.arange(1200) % 4, np.flatnonzero(np.arange(1200) % 4 < 3)
    head = np.eye(4, dtype=np.float32)[labels]
    told = {"head": Answers("onnxruntime-fp32", head, "head", "m"), "base": Answers("onnxruntime-fp32", head[rows], "base", "m")}
    common = CommonImages(
        head=rows,
        base=np.arange(len(rows)),
        base_labels=labels[rows],
        base_pixels=tmp_path / "gone.npy",
        groups=None,
        only_head=("new",),
    )
    answers = PairedAnswers(
        told["head"], told["base"], labels, ("a", "b", "c", "new"), tmp_path / "gone.npy", common, ("a", "b", "c", "new")
    )
    monkeypatch.setattr("edgecnn.comparing.comparison.paired_answers", lambda *_: answers)
    head_folder, base_folder = two_bundles(tmp_path)
    gates = parse_bounds(["worst_class_drop_pp=3"], [], compared=True)
    found = judge_against(
        AgainstRequest(head=head_folder, base=base_folder, gates=gates), racing_lab(RacingHost(head=1.0, base=1.0), tmp_path)
    )
    (result,) = [gate for gate in found.gates if gate.gate.metric == "worst_class_drop_pp"]
    assert result.verdict is Verdict.PASS
    assert found.classes is not None
    assert [(row.name, row.images, row.right) for row in found.classes.only_head] == [("new", 300, 300)]
