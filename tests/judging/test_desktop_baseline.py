import pytest

from edgecnn.judging.desktop_baseline import BaselineQuestion, BaselineRecord, baseline_facts
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_latency, an_interval

QUESTION = BaselineQuestion(
    device="rtx-4090",
    arch="efficientnet-b0",
    resolution_px=224,
    accuracy_machine="AMD EPYC",
    command="edgecnn bench --target rtx-4090 --arch efficientnet-b0",
)


def a_record(observed_at="2026-11-01T00:00:00+00:00", ms=0.6, **changes):
    latency = a_latency(an_interval(ms), observed_at=observed_at)
    fields = {
        "device": "rtx-4090",
        "arch": "efficientnet-b0",
        "resolution_px": 224,
        "latency": latency,
        "how": "eager torch",
        "source": "bench",
    }
    return BaselineRecord.model_validate({**fields, **changes})


def test_nobody_plays_the_role_without_gpu_or_record():
    found = baseline_facts(QUESTION)
    assert (found.device, found.latency.fidelity, found.latency.p50_ms) == ("rtx-4090", Fidelity.MISSING, None)
    for fact in ("rtx-4090", "efficientnet-b0 at 224 px", "edgecnn bench --target rtx-4090 --arch efficientnet-b0"):
        assert fact in found.latency.reason
    assert "AMD EPYC" in found.accuracy_from


def test_where_nothing_here_can_measure_it_no_command_is_named():
    found = baseline_facts(QUESTION.model_copy(update={"command": None}))
    assert found.latency.reason.endswith("no dated record of efficientnet-b0 at 224 px")


def test_the_newest_fitting_record_plays_it():
    found = baseline_facts(
        QUESTION, records=[a_record("2026-10-01T00:00:00+00:00", 0.9), a_record(), a_record("2025-01-01T00:00:00+00:00")]
    )
    assert found.latency.observed_at == "2026-11-01T00:00:00+00:00"
    assert found.latency.p50_ms.estimate == 0.6


@pytest.mark.parametrize(
    "changes",
    [
        {"arch": "resnet-50"},
        {"resolution_px": 64},
        {"device": "h200"},
        {"latency": a_latency(an_interval(1), fidelity=Fidelity.PREDICTED)},
    ],
)
def test_a_record_of_something_else_is_no_news(changes):
    assert baseline_facts(QUESTION, records=[a_record(**changes)]).latency.fidelity is Fidelity.MISSING


def test_the_newest_is_told_by_the_moment_and_not_by_its_spelling():
    later, earlier = a_record("2026-11-01T00:00:00-05:00", 0.9), a_record("2026-11-01T04:00:00+00:00", 0.6)
    assert baseline_facts(QUESTION, records=[later, earlier]).latency.p50_ms.estimate == 0.9


def test_a_gpu_that_is_here_plays_it_under_its_own_name():
    found = baseline_facts(QUESTION, local=a_record(device="h200", ms=0.4), records=[a_record()])
    assert (found.device, found.latency.p50_ms.estimate) == ("h200", 0.4)


def test_a_record_is_read_from_its_file_form():
    text = a_record().model_dump_json(by_alias=True)
    assert '"schema":"edgecnn.baseline/1"' in text
    assert BaselineRecord.model_validate_json(text) == a_record()


def test_a_record_of_before_the_variants_is_still_read():
    fields = a_record().model_dump(mode="json", by_alias=True)
    old = {name: value for name, value in fields.items() if name not in ("variants", "throughput")}
    old["latency"].pop("on_gpu_ms")
    assert BaselineRecord.model_validate(old) == a_record()


def test_a_record_brings_its_variants_along():
    amp = {"id": "torch-amp", "how": "eager torch, autocast", "latency": a_latency(an_interval(0.3))}
    found = baseline_facts(QUESTION, records=[a_record(variants=[amp])])
    assert [(each.id, each.latency.p50_ms.estimate) for each in found.variants] == [("torch-amp", 0.3)]


def test_a_gpu_that_could_not_take_the_part_is_named_with_why():
    why = "NVIDIA H200 is here but could not run it: no driver"
    found = baseline_facts(QUESTION.model_copy(update={"command": None, "failure": why}))
    assert found.latency.reason.startswith(why) and "efficientnet-b0 at 224 px" in found.latency.reason
