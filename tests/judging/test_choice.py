from edgecnn.judging.choice import ChoiceRules, choose
from edgecnn.judging.runs.latency import missing_latency
from edgecnn.values.training import Surgery
from edgecnn.values.verdict import Fidelity
from tests.judging.made import a_latency, an_accuracy, an_interval, facts

ATTACHED = ChoiceRules(attached=True)
AWAY = ChoiceRules(attached=False, device="jetson-orin-nano", settle_command="edgecnn bench builds/x --host nano")


def fp32(ms=4.0, ident="onnxruntime-fp32", **fields):
    return facts(ident, **{"is_baseline": True, "validation": an_accuracy(), "latency": at(ms), **fields})


def row(ident, ms=None, drop=0.0, ratio=None, **fields):
    """``drop`` in percentage points of 1,000 images; ``ratio`` as (low, high) against fp32."""
    lost = round(drop * 10)
    accuracy = an_accuracy(max(lost, 0), max(-lost, 0))
    return facts(ident, **{"validation": accuracy, "latency": at(ms, ratio), **fields})


def at(ms, ratio=None):
    if ms is None:
        return None
    shown = None if ratio is None else an_interval(sum(ratio) / 2, *ratio)
    return a_latency(an_interval(ms, ms * 0.98, ms * 1.02), ratio=shown)


def chosen(*candidates, rules=ATTACHED, ratios=None):
    found = choose(candidates, rules, ratios)
    return found.choice.candidate, found.choice.state


def test_int8_that_was_shown_faster_is_chosen():
    assert chosen(fp32(), row("onnxruntime-int8", 2.0, 0.4, ratio=(1.8, 2.2))) == ("onnxruntime-int8", "settled")


def test_int8_that_only_looks_faster_is_not():
    found = choose([fp32(), row("onnxruntime-int8", 3.9, ratio=(0.99, 1.07))], ATTACHED)
    assert found.choice.candidate == "onnxruntime-fp32"
    assert found.choice.why == (
        "nothing of lower precision inside the budget of 1 pp was shown to be faster than onnxruntime-fp32, "
        "at 4.00 ms when chosen"
    )
    assert found.reasons["onnxruntime-int8"] == (
        "not shown faster than onnxruntime-fp32: 1.03 × the speed [0.99, 1.07] at 98.4 %"
    )


def test_int8_without_paired_runs_is_not_taken_on_trust():
    found = choose([fp32(), row("onnxruntime-int8", 1.0)], ATTACHED)
    assert found.choice.candidate == "onnxruntime-fp32"
    assert found.reasons["onnxruntime-int8"] == "not shown faster than onnxruntime-fp32: they have no paired runs"


def test_a_ratio_of_exactly_one_is_not_faster():
    assert chosen(fp32(2.0), row("onnxruntime-int8", 2.0, ratio=(1.0, 1.0)))[0] == "onnxruntime-fp32"


def test_the_fastest_over_the_budget_is_left_out_with_by_how_much():
    found = choose([fp32(), row("onnxruntime-int8", 1.0, 1.4, ratio=(3.9, 4.1))], ATTACHED)
    assert found.choice.candidate == "onnxruntime-fp32"
    assert found.reasons["onnxruntime-int8"] == (
        "over the budget on validation by 0.40 pp: a drop of 1.40 against 1, [0.91, 2.16] at 90 % of 1,000 images"
    )


def test_the_budget_takes_the_estimate_and_its_bound_counts_as_inside():
    assert chosen(fp32(), row("onnxruntime-int8", 1.0, 1.0, ratio=(3.9, 4.1)))[0] == "onnxruntime-int8"


def test_the_reason_of_the_chosen_has_its_figures():
    found = choose([fp32(), row("onnxruntime-int8", 2.0, ratio=(1.8, 2.2))], ATTACHED)
    assert found.reasons["onnxruntime-int8"] == (
        "chosen: onnxruntime-int8 is the fastest inside the budget of 1 pp, at 2.00 ms when chosen, "
        "2.00 × the speed [1.80, 2.20] at 98.4 % of onnxruntime-fp32"
    )
    assert found.reasons["onnxruntime-fp32"] == (
        "slower: 4.00 ms against 2.00 of onnxruntime-int8, 0.50 × the speed [0.45, 0.56] at 98.4 % on AMD EPYC"
    )
    assert found.choice.carried == ("onnxruntime-int8",)


def test_int8_must_beat_the_best_float_and_not_only_fp32():
    table = [fp32(), row("openvino-fp32", 2.0), row("openvino-int8", 1.9, ratio=(2.0, 2.2))]
    assert chosen(*table) == ("openvino-fp32", "settled")
    beyond = {("openvino-int8", "openvino-fp32"): an_interval(1.05, 1.01, 1.1)}
    assert chosen(*table, ratios=beyond) == ("openvino-int8", "settled")


def test_bf16_too_must_be_shown_faster_than_fp32():
    table = [fp32(), row("openvino-fp32", 2.0), row("openvino-bf16", 1.8)]
    assert chosen(*table)[0] == "openvino-fp32"
    assert chosen(*table, ratios={("openvino-bf16", "openvino-fp32"): an_interval(1.1, 1.05, 1.2)})[0] == "openvino-bf16"


def changed(ident, ms, drop=0.0, ratio=None):
    """The same of a network that surgery changed."""
    plain = row(ident, ms, drop, ratio)
    done = Surgery(activation="relu6", epochs=2)
    return plain.model_copy(
        update={"candidate": plain.candidate.model_copy(update={"id": f"{ident}-{done.suffix}", "surgery": done})}
    )


def test_a_changed_network_too_must_be_shown_faster_even_in_fp32():
    only_looks = changed("onnxruntime-fp32", 3.9, ratio=(0.99, 1.07))
    assert chosen(fp32(), only_looks)[0] == "onnxruntime-fp32"
    assert chosen(fp32(), changed("onnxruntime-fp32", 3.0, ratio=(1.2, 1.4)))[0] == "onnxruntime-fp32-relu6"


def test_a_changed_network_that_loses_more_than_the_budget_is_never_chosen():
    fast = changed("onnxruntime-int8", 0.5, 1.1, ratio=(7.0, 9.0))
    assert chosen(fp32(), fast)[0] == "onnxruntime-fp32"
    assert chosen(fp32(validation=None), changed("onnxruntime-fp32", 0.5, 1.1))[0] == "onnxruntime-fp32"


def test_a_changed_fp32_is_no_reference_to_be_carried():
    found = choose([fp32(None), changed("openvino-fp32", None, 1.1), row("openvino-int8")], AWAY).choice
    assert set(found.carried) == {"onnxruntime-fp32", "openvino-int8"}


def test_int8_that_was_shown_faster_than_what_would_ship_otherwise_ships():
    """bf16 looks faster than fp32 and was not shown to be: it would not ship, and is no bar to INT8, which was shown."""
    table = [fp32(), row("openvino-bf16", 1.8, ratio=(0.9, 3.0)), row("openvino-int8", 1.7, ratio=(2.0, 2.5))]
    assert chosen(*table)[0] == "openvino-int8"


def test_of_two_shown_faster_the_faster_ships():
    table = [fp32(), row("onnxruntime-int8", 2.0, ratio=(1.8, 2.2)), row("openvino-int8", 1.5, ratio=(2.5, 2.8))]
    found = choose(table, ATTACHED)
    assert found.choice.candidate == "openvino-int8"
    assert found.reasons["onnxruntime-int8"] == (
        "slower: 2.00 ms against 1.50 of openvino-int8, without paired runs, on AMD EPYC"
    )


def test_what_was_only_screened_is_not_chosen():
    screened = row("openvino-int8", latency=a_latency(None, runs=1, reason="1 run, seen 1.00 ms; an interval needs 7"))
    found = choose([fp32(), screened], ATTACHED)
    assert found.choice.candidate == "onnxruntime-fp32"
    assert found.reasons["openvino-int8"] == (
        "inside the budget, but not in the last race (1 run, seen 1.00 ms; an interval needs 7)"
    )


def test_the_last_race_does_not_unmake_the_choice():
    """Its weather was worse, and only the winner and fp32 ran in it."""
    selecting = {"onnxruntime-fp32": at(4.0), "onnxruntime-int8": at(2.0, (1.8, 2.2)), "openvino-int8": at(2.1, (1.7, 2.1))}
    rows = [fp32(5.0), row("onnxruntime-int8", 2.5, ratio=(1.8, 2.2)), row("openvino-int8", 2.1, ratio=(1.7, 2.1))]
    assert choose(rows, ATTACHED, figures=selecting).choice.candidate == "onnxruntime-int8"
    assert choose(rows, ATTACHED).choice.candidate == "openvino-int8"


def test_who_did_not_race_keeps_the_word_on_why_beside_the_figures_of_those_who_did():
    why = "short screening runs: 0.94 ms; not among the finalists, and so few runs have no interval"
    screened = row("openvino-fp32", latency=missing_latency(reason=why, machine="here"))
    found = choose([fp32(), screened], ATTACHED, figures={"onnxruntime-fp32": at(4.0)})
    assert found.reasons["openvino-fp32"] == f"inside the budget, but not in the last race ({why})"


def test_an_emulated_time_chooses_nothing():
    emulated = row("openvino-int8", latency=at(0.1, (30, 50)).model_copy(update={"fidelity": Fidelity.EMULATED}))
    assert chosen(fp32(), emulated)[0] == "onnxruntime-fp32"


def test_away_from_the_device_fp16_is_used_and_everything_inside_is_carried():
    table = [fp32(None), row("tensorrt-int8", drop=0.2), row("tensorrt-fp16")]
    found = choose(table, AWAY)
    assert (found.choice.state, found.choice.candidate) == ("provisional", "tensorrt-fp16")
    assert found.choice.carried == ("tensorrt-fp16", "tensorrt-int8", "onnxruntime-fp32")
    assert found.choice.settle_command == "edgecnn bench builds/x --host nano"
    assert "jetson-orin-nano was not attached" in found.choice.why


def test_away_from_the_device_int8_comes_before_other_floats():
    assert chosen(fp32(None), row("openvino-bf16"), row("openvino-int8"), rules=AWAY) == ("openvino-int8", "provisional")


def test_int8_with_layers_in_float_stands_where_int8_stands():
    candidates = (fp32(None), row("openvino-bf16"), row("openvino-int8", drop=4.0), row("openvino-int8-mixed-2"))
    assert chosen(*candidates, rules=AWAY) == ("openvino-int8-mixed-2", "provisional")
    race = (fp32(), row("openvino-int8", 1.0, 4.0, ratio=(3.9, 4.1)), row("openvino-int8-mixed-2", 2.0, ratio=(1.8, 2.2)))
    assert chosen(*race) == ("openvino-int8-mixed-2", "settled")


def test_fp32_is_carried_even_where_the_target_is_another_runtime():
    rules = AWAY.model_copy(update={"shippable": ("tensorrt-fp16", "tensorrt-int8")})
    found = choose([fp32(None), row("tensorrt-fp16"), row("tensorrt-int8", drop=3.0)], rules)
    assert found.choice.carried == ("tensorrt-fp16", "onnxruntime-fp32")
    assert found.reasons["tensorrt-int8"].startswith("over the budget on validation by 2.00 pp")


def test_nothing_inside_the_budget_ships_fp32_and_says_so():
    rules = AWAY.model_copy(update={"shippable": ("tensorrt-fp16", "tensorrt-int8")})
    found = choose([fp32(None), row("tensorrt-fp16", drop=2.0), row("tensorrt-int8", drop=3.0)], rules)
    assert (found.choice.candidate, found.choice.state) == ("onnxruntime-fp32", "provisional")
    assert found.choice.why == "no candidate is known to stay inside the budget of 1 pp on validation, so fp32 ships"


def test_a_reference_in_another_runtime_is_not_shipped():
    rules = ATTACHED.model_copy(update={"shippable": ("openvino-fp32", "openvino-int8")})
    found = choose([fp32(1.0), row("openvino-fp32", 2.0)], rules)
    assert found.choice.candidate == "openvino-fp32"
    assert found.reasons["onnxruntime-fp32"] == "a reference: onnxruntime is not what the target asks for"


def test_attached_without_a_race_is_provisional():
    found = choose([fp32(None), row("onnxruntime-int8")], ATTACHED)
    assert (found.choice.state, found.choice.candidate) == ("provisional", "onnxruntime-int8")
    assert "nothing was raced" in found.choice.why


def test_int8_alone_in_the_race_settles_nothing():
    assert chosen(fp32(None), row("onnxruntime-int8", 1.0))[1] == "provisional"


def test_what_has_no_kit_or_no_answers_is_never_chosen():
    broken = row("onnxruntime-int8", 0.1, ratio=(9, 11), kit=None)
    unseen = row("openvino-int8", 0.1, ratio=(9, 11), validation=None)
    found = choose([fp32(), broken, unseen], ATTACHED)
    assert found.choice.candidate == "onnxruntime-fp32"
    assert found.reasons["onnxruntime-int8"] == "no kit was made"
    assert found.reasons["openvino-int8"] == "not evaluated on validation, so nothing says that it is inside the budget"


def test_nothing_at_all_is_no_choice():
    found = choose([row("onnxruntime-int8", 1.0, kit=None)], ATTACHED)
    assert (found.choice.state, found.choice.candidate) == ("none", None)
    assert choose([], ATTACHED).choice.state == "none"


def test_the_smallest_needs_no_race():
    rules = AWAY.model_copy(update={"objective": "size"})
    found = choose([fp32(None, size_mib=20.0), row("onnxruntime-int8", size_mib=5.5)], rules)
    assert (found.choice.candidate, found.choice.state) == ("onnxruntime-int8", "settled")
    assert found.reasons["onnxruntime-fp32"] == "larger: 20.00 MiB against 5.50 of onnxruntime-int8"


def test_every_candidate_gets_a_reason():
    table = [fp32(), row("onnxruntime-int8", 2.0, 3.0), row("openvino-int8"), row("openvino-bf16", kit=None)]
    for rules in (ATTACHED, AWAY):
        reasons = choose(table, rules).reasons
        assert all(reasons[facts.candidate.id] for facts in table)
