"""Knobs are typed here, and texts by a runtime's own names for the runner."""

from __future__ import annotations

import pytest

from edgecnn.values.candidate import DEFAULT, Knobs

EVERY = Knobs(
    threads=2,
    graph_optimization_level="extended",
    spinning=False,
    pin_threads=True,
    cpu_pinning=False,
    hyper_threading=True,
    core_type="ANY_CORE",
)
OPTIONS = {
    "threads": "2",
    "graph_optimization_level": "extended",
    "session.intra_op.allow_spinning": "0",
    "pin_threads": "1",
    "ENABLE_CPU_PINNING": "NO",
    "ENABLE_HYPER_THREADING": "YES",
    "SCHEDULING_CORE_TYPE": "ANY_CORE",
}


def test_every_knob_has_the_name_and_the_words_of_its_runtime_and_comes_back_from_them() -> None:
    assert EVERY.options == OPTIONS
    assert set(EVERY.model_dump(exclude_none=True)) == set(Knobs.model_fields)
    assert Knobs.of(OPTIONS) == EVERY
    assert Knobs.of(DEFAULT.options) == DEFAULT == Knobs()


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        (Knobs(), "the default"),
        (Knobs(threads=1), "1 thread"),
        (
            EVERY,
            "2 threads, graph optimization extended, spinning off, thread pinning on, CPU pinning off, hyper-threading on, "
            "core type ANY_CORE",
        ),
    ],
)
def test_a_setting_in_words(knobs: Knobs, words: str) -> None:
    assert knobs.words == words


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"INFERENCE_PRECISION_HINT": "bf16"}, "'INFERENCE_PRECISION_HINT' is not a knob of this version"),
        ({"threads": "0"}, "the knob threads is '0'"),
        ({"session.intra_op.allow_spinning": "perhaps"}, "the knob spinning is 'perhaps'"),
    ],
)
def test_what_is_no_knob_or_has_no_such_value_is_named(options: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Knobs.of(options)
