import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.gates import BOUND_MISSING
from edgecnn.judging.gates import judge, parse_bounds, runs_for, verdict_of
from edgecnn.judging.intervals import tango_drop_pp
from edgecnn.judging.judgement import judge_candidate
from edgecnn.values.artifact import Failed
from edgecnn.values.figures import ClassReport
from edgecnn.values.verdict import Fidelity, Verdict
from tests.judging.made import (
    a_class,
    a_forecast,
    a_gate,
    a_judged_latency,
    a_quality,
    a_residency,
    an_accuracy,
    an_interval,
    facts,
)

PASS, FAIL, UNSURE, MISSING = Verdict.PASS, Verdict.FAIL, Verdict.UNSURE, Verdict.MISSING


def verdict(gate, **fields):
    return judge(gate, facts(**fields)).verdict


@pytest.mark.parametrize(
    ("metrics", "runs", "on_tail"),
    [
        (("drop_pp", "size_mib"), (0, 0), False),
        (("p50_ms", "drop_pp"), (16, 0), False),
        (("p50_ms", "p90_ms"), (17, 0), True),
        (("p99_ms",), (17, 0), True),
        (("energy_mj",), (0, 16), False),
        (("p50_ms", "energy_mj"), (16, 16), False),
    ],
)
def test_a_gate_on_latency_or_energy_races_as_many_runs_as_tell_whether_they_depend_on_each_other(metrics, runs, on_tail):
    gates = [a_gate(metric) for metric in metrics]
    assert runs_for(gates) == (*runs, on_tail)


def test_a_drop_passes_only_with_its_whole_interval():
    assert verdict(a_gate(), test=an_accuracy(1, 1, 3000)) is PASS
    assert verdict(a_gate(), test=an_accuracy(200, 10, 3000)) is FAIL
    assert verdict(a_gate(), test=an_accuracy(20, 10, 1000)) is UNSURE


def test_a_drop_is_judged_at_one_sided_95_percent_whatever_interval_was_shown():
    wide = an_accuracy(9, 5, 1500).model_copy(update={"drop_pp": tango_drop_pp(9, 5, 1500, 0.95)})
    result = judge(a_gate(), facts(test=wide))
    assert result.figure == tango_drop_pp(9, 5, 1500, 0.90)
    assert result.verdict is PASS


def test_the_bound_itself_passes():
    figure = tango_drop_pp(3, 1, 1000)
    assert verdict(a_gate(bound=figure.high), test=an_accuracy(3, 1, 1000)) is PASS
    assert verdict(a_gate(bound=figure.low), test=an_accuracy(3, 1, 1000)) is UNSURE


def test_complete_agreement_on_few_images_shows_nothing():
    result = judge(a_gate(), facts(test=an_accuracy(0, 0, 100)))
    assert (result.verdict, result.images_to_settle) == (UNSURE, 1758)
    assert verdict(a_gate(), test=an_accuracy(0, 0, 268)) is PASS


def test_an_unsure_drop_says_how_many_images_would_settle_it():
    result = judge(a_gate(), facts(test=an_accuracy(10, 7, 1000)))
    assert result.verdict is UNSURE
    assert result.images_to_settle == 3369 and "3,400 " in result.reason
    scaled = an_accuracy(11, 8, 1200)
    assert verdict(a_gate(), test=scaled) is PASS


def test_an_estimate_on_the_bound_is_settled_by_no_number():
    assert judge(a_gate(), facts(test=an_accuracy(15, 5, 1000))).images_to_settle is None


def test_a_pass_names_figure_bound_and_confidence():
    result = judge(a_gate(), facts(test=an_accuracy(4, 4, 2000)))
    assert all(fact in result.reason for fact in ("0.00 pp", "[-0.27, 0.27]", "90 %", "drop_pp ≤ 1"))


def test_the_baseline_has_no_drop_by_definition_once_it_was_evaluated():
    ours = facts("onnxruntime-fp32", is_baseline=True, test=an_accuracy(drop_pp=None, discordant=None))
    assert judge(a_gate(bound=0.0), ours).verdict is PASS
    assert verdict(a_gate(), is_baseline=True) is MISSING


UNPAIRED = {"drop_pp": None, "discordant": None, "lost": None, "gained": None}


@pytest.mark.parametrize(
    "report", [None, an_accuracy().model_copy(update=UNPAIRED), an_accuracy().model_copy(update={"images": 0})]
)
def test_no_paired_accuracy_is_missing_and_never_a_pass(report):
    assert verdict(a_gate(), test=report) is MISSING


def test_an_emulated_accuracy_may_meet_the_gate_and_is_labelled():
    result = judge(a_gate(), facts(test=an_accuracy(1, 1, 3000, fidelity=Fidelity.EMULATED)))
    assert (result.verdict, result.fidelity) == (PASS, Fidelity.EMULATED)
    assert "emulated" in result.reason and "AMD EPYC" in result.reason


def test_top1_is_judged_by_its_interval():
    gate = a_gate("top1", 0.9, side="min")
    assert verdict(gate, test=an_accuracy(images=1000, right=930)) is PASS
    assert verdict(gate, test=an_accuracy(images=1000, right=870)) is FAIL
    open_ = judge(gate, facts(test=an_accuracy(images=1000, right=905)))
    assert (open_.verdict, open_.images_to_settle) == (UNSURE, 22996)
    assert verdict(gate, test=None) is MISSING


def with_quality(**changes):
    return an_accuracy(quality=a_quality(**changes))


@pytest.mark.parametrize("metric", ["top5", "macro_f1", "agreement"])
def test_what_should_be_large_passes_with_its_whole_interval(metric):
    report = with_quality(**{metric: an_interval(0.95, 0.94, 0.96, 0.90)})
    judged = {bound: verdict(a_gate(metric, bound, side="min"), test=report) for bound in (0.94, 0.95, 0.97)}
    assert judged == {0.94: PASS, 0.95: UNSURE, 0.97: FAIL}


def test_a_calibration_error_passes_with_its_whole_interval():
    report = with_quality(ece=an_interval(0.05, 0.03, 0.06, 0.90))
    assert [verdict(a_gate("ece", bound), test=report) for bound in (0.06, 0.05, 0.02)] == [PASS, UNSURE, FAIL]


def test_the_worst_class_is_named_with_its_points():
    result = judge(a_gate("worst_class_drop_pp", 5), facts(test=with_quality()))
    assert (result.verdict, result.images_to_settle) == (FAIL, None)
    assert "'Shirt'" in result.reason and "12.00 pp" in result.reason
    assert verdict(a_gate("worst_class_drop_pp", 15), test=with_quality()) is PASS


def test_a_class_without_images_leaves_the_worst_class_open_and_is_named():
    classes = a_quality().classes
    gone = a_class("Bag", images=0, drop_pp=None)
    open_ = classes.model_copy(
        update={"classes": (classes.classes[0], gone), "widest": "Bag", "worst_drop_pp": an_interval(0.0, 0.0, 100.0, 0.90)}
    )
    result = judge(a_gate("worst_class_drop_pp", 5), facts(test=with_quality(classes=open_)))
    assert result.verdict is UNSURE
    assert result.reason.index("'Shirt'") < result.reason.index("'Bag'")


def test_an_unsure_share_says_how_many_images_would_settle_it():
    report = with_quality(agreement=an_interval(0.97, 0.96, 0.98, 0.90))
    result = judge(a_gate("agreement", 0.965, side="min"), facts(test=report))
    assert (result.verdict, result.images_to_settle) == (UNSURE, 8748)
    assert judge(a_gate("macro_f1", 0.86, side="min"), facts(test=with_quality())).images_to_settle is None


def test_the_baseline_agrees_with_itself_and_no_class_of_it_dropped():
    classes = ClassReport(classes=(a_class("Bag", drop_pp=None),))
    report = with_quality(agreement=None, classes=classes, absent={"agreement": "no baseline"})
    itself = {"is_baseline": True, "test": report}
    assert verdict(a_gate("agreement", 1, side="min"), **itself) is PASS
    assert verdict(a_gate("worst_class_drop_pp", 0), **itself) is PASS


def test_a_figure_that_is_absent_is_missing_with_its_reason():
    report = with_quality(top5=None, absent={"top5": "of 5 classes"})
    result = judge(a_gate("top5", 0.9, side="min"), facts(test=report))
    assert (result.verdict, result.reason) == (MISSING, "of 5 classes")


@pytest.mark.parametrize("metric", ["top5", "macro_f1", "agreement", "ece", "worst_class_drop_pp"])
@pytest.mark.parametrize("report", [None, an_accuracy()])
def test_what_was_not_looked_at_is_missing(metric, report):
    side = "max" if metric in ("ece", "worst_class_drop_pp") else "min"
    assert verdict(a_gate(metric, 0.5, side=side), test=report) is MISSING


def test_an_emulated_calibration_is_labelled():
    report = an_accuracy(fidelity=Fidelity.EMULATED, quality=a_quality())
    assert "emulated" in judge(a_gate("ece", 0.1), facts(test=report)).reason


@pytest.mark.parametrize("metric", ["p50_ms", "p90_ms", "p99_ms"])
def test_latency_is_judged_by_its_interval(metric):
    def of(low, high):
        interval = an_interval((low + high) / 2, low, high)
        seen = a_judged_latency(None, tails_within_ms={metric: (low + high) / 2})
        return verdict(a_gate(metric, 20), latency=seen.model_copy(update={metric: interval}))

    assert (of(10, 20), of(21, 22), of(19, 21)) == (PASS, FAIL, UNSURE)


def test_a_tail_meets_no_bound_until_three_of_four_processes_are_shown_to_keep_it():
    seen = a_judged_latency(None, an_interval(10.0, 9.0, 11.0), absent={"tails_within_ms": "17 runs"})
    few = judge(a_gate("p99_ms", 20), facts(latency=seen))
    assert (few.verdict, few.reason.endswith(": 17 runs")) == (UNSURE, True)
    assert verdict(a_gate("p99_ms", 8), latency=seen) is FAIL
    slow = seen.model_copy(update={"tails_within_ms": {"p99_ms": 21.0}})
    assert (verdict(a_gate("p99_ms", 20), latency=slow), verdict(a_gate("p99_ms", 21), latency=slow)) == (UNSURE, PASS)


def test_a_p90_that_the_runs_are_too_short_for_is_unsure_with_why():
    seen = a_judged_latency(an_interval(1.0), reason="p99: too short", absent={"p90_ms": "50 samples"})
    result = judge(a_gate("p90_ms", 20), facts(latency=seen))
    assert (result.verdict, result.reason.endswith(": 50 samples")) == (UNSURE, True)


@pytest.mark.parametrize("fidelity", [Fidelity.PREDICTED, Fidelity.EMULATED, Fidelity.MISSING])
def test_only_a_measured_latency_is_judged(fidelity):
    assert verdict(a_gate("p50_ms", 20), latency=a_judged_latency(an_interval(1.0), fidelity=fidelity)) is MISSING


def test_latency_that_nothing_ran_for_is_missing_with_its_reason():
    result = judge(a_gate("p50_ms", 20), facts(latency=a_judged_latency(None, runs=0, reason="no jetson")))
    assert (result.verdict, result.reason) == (MISSING, "no jetson")
    assert verdict(a_gate("p50_ms", 20), latency=None) is MISSING


@pytest.mark.parametrize(("side", "bound"), [("max", 20), ("max", 1)])
def test_no_gate_takes_a_forecast_however_far_from_the_bound_it_is(side, bound):
    unmeasured = a_judged_latency(None, runs=0, reason="not measured on raspberry-pi-5")
    result = judge(a_gate("p50_ms", bound, side=side), facts(latency=unmeasured, forecast=a_forecast(5, 4, 6)))
    assert (result.verdict, result.figure, result.fidelity) == (MISSING, None, Fidelity.MISSING)


def test_too_few_runs_are_unsure_and_not_missing():
    result = judge(a_gate("p50_ms", 20), facts(latency=a_judged_latency(None, runs=3, reason="3 runs")))
    assert (result.verdict, result.images_to_settle) == (UNSURE, None)
    assert result.reason.endswith(": 3 runs")


def test_a_busy_machine_fails_nobody_and_passes_whom_it_can():
    busy = {"disturbed": "others took 40 %"}
    slow = judge(a_gate("p50_ms", 20), facts(latency=a_judged_latency(an_interval(30, 29, 31), **busy)))
    assert slow.verdict is UNSURE
    assert busy["disturbed"] in slow.reason
    assert verdict(a_gate("p50_ms", 32), latency=a_judged_latency(an_interval(30, 29, 31), **busy)) is PASS


def test_a_drop_is_judged_by_the_counts_of_images_and_not_by_what_was_shown_of_them():
    report = an_accuracy(lost=30, gained=10)
    shown = report.model_copy(update={"drop_pp": an_interval(1.4, 1.0, 1.9), "discordant": 39})
    by_counts, as_shown = (judge(a_gate("drop_pp", 2.1), facts(test=each)) for each in (report, shown))
    assert by_counts.verdict is UNSURE
    assert (as_shown.figure, as_shown.images_to_settle) == (by_counts.figure, by_counts.images_to_settle)


def test_size_is_exact():
    assert verdict(a_gate("size_mib", 5), size_mib=5.0) is PASS
    assert verdict(a_gate("size_mib", 5), size_mib=5.01) is FAIL
    assert verdict(a_gate("size_mib", 5)) is MISSING


@pytest.mark.parametrize(
    ("metric", "field"), [("int8_mac_share", "mac"), ("int8_time_share", "time"), ("int8_bytes_share", "byte_share")]
)
def test_residency_is_judged_as_executed(metric, field):
    def of(basis="executed", **shares):
        return judge(a_gate(metric, 0.9, side="min"), facts(residency=a_residency(basis, **{field: shares})))

    assert of(int8=0.95, fp32=0.05).verdict is PASS
    assert of(int8=0.5, fp32=0.5).verdict is FAIL
    assert of(fp32=1.0).verdict is FAIL
    assert of().verdict is MISSING
    planned = of("planned", int8=0.99)
    assert (planned.verdict, "planned" in planned.reason) == (MISSING, True)


def test_layers_that_could_not_be_joined_leave_the_share_open():
    result = judge(
        a_gate("int8_mac_share", 0.9, side="min"), facts(residency=a_residency(mac={"int8": 0.85, "unknown": 0.1, "fp32": 0.05}))
    )
    assert result.verdict is UNSURE
    assert "10.0 %" in result.reason


def test_time_that_was_not_taken_is_missing():
    assert verdict(a_gate("int8_time_share", 0.9, side="min"), residency=a_residency(mac={"int8": 1.0})) is MISSING
    assert verdict(a_gate("int8_mac_share", 0.9, side="min")) is MISSING


def test_bytes_that_were_not_counted_are_missing_with_the_reason():
    result = judge(a_gate("int8_bytes_share", 0.5, side="min"), facts(residency=a_residency(mac={"int8": 1.0})))
    assert result.verdict is MISSING


def test_a_share_of_time_is_of_one_run_and_claims_no_confidence():
    shares = {"int8": 0.6, "fp32": 0.3, "unknown": 0.1}
    result = judge(a_gate("int8_time_share", 0.9, side="min"), facts(residency=a_residency(time=shares)))
    assert (result.verdict, result.figure.confidence) == (FAIL, 0.0)
    assert "60.0 % [60.0, 70.0]" in result.reason and "10.0 %" in result.reason


def test_every_gate_is_answered_in_order():
    results = judge_candidate([a_gate("size_mib", 5), a_gate()], facts(size_mib=1.0))
    assert [(r.gate.metric, r.verdict, r.candidate) for r in results] == [
        ("size_mib", PASS, "onnxruntime-int8"),
        ("drop_pp", MISSING, "onnxruntime-int8"),
    ]


NAN = Failed(ref="logits-not-finite", what="for image 7 contain nan")


def test_answers_that_are_no_numbers_fail_every_accuracy_gate_and_the_candidate() -> None:
    broken = facts(outcomes={"measure": NAN}, size_mib=1.0)
    for metric, side in (("drop_pp", "max"), ("top1", "min"), ("worst_class_drop_pp", "max"), ("ece", "max")):
        result = judge(a_gate(metric, 0.5, side=side), broken)
        assert (result.verdict, result.reason) == (Verdict.FAIL, NAN.what), metric
    fits = judge(a_gate("size_mib", 2.0), broken)
    assert fits.verdict is Verdict.PASS, "its size is what it is"
    assert verdict_of(broken, (fits,)) is Verdict.FAIL
    crashed = facts(outcomes={"measure": Failed(ref="run-failed", what="it was killed")})
    assert judge(a_gate(), crashed).verdict is Verdict.MISSING, "what crashed was not measured"


def test_answers_of_a_twin_that_are_no_numbers_are_emulated_ones() -> None:
    assert judge(a_gate(), facts(outcomes={"measure": NAN}, evaluated_kit="the twin's")).fidelity is Fidelity.EMULATED


@pytest.mark.parametrize(("text", "fix"), [("p50_ms=50ms", "p50_ms=50"), ("top1=80%", "top1=0.8"), ("drop_pp=1%", "drop_pp=1")])
def test_a_bound_with_a_unit_is_given_back_without_it(text: str, fix: str) -> None:
    with pytest.raises(EdgecnnError, check=BOUND_MISSING.made) as refused:
        parse_bounds([text], [])
    assert f": {fix} [" in refused.value.line()
