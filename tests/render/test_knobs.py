"""Every setting that was raced has its sentence, with the figures that decided."""

from __future__ import annotations

from edgecnn.render.sentences import knob_lines
from edgecnn.values.candidate import KnobRace, Knobs, KnobTrial
from tests.building.scenes import a_choice
from tests.judging.made import an_interval


def test_each_setting_says_what_became_of_it() -> None:
    trials = (
        KnobTrial(knobs=Knobs(threads=2), ratio=an_interval(1.41, 1.32, 1.55), outcome="taken"),
        KnobTrial(knobs=Knobs(graph_optimization_level="extended"), ratio=an_interval(1.1, 1.05, 1.2), outcome="faster"),
        KnobTrial(knobs=Knobs(spinning=False), ratio=an_interval(0.99, 0.97, 1.02), outcome="not-shown"),
        KnobTrial(knobs=Knobs(threads=1), ratio=an_interval(1.6, 1.4, 1.9), outcome="disturbed", why="other programs ran"),
        KnobTrial(knobs=Knobs(threads=3), ratio=an_interval(1.5, 1.4, 1.6), outcome="unusable", why="other logits"),
        KnobTrial(knobs=Knobs(threads=4), ratio=None, outcome="unusable", why="a run did not end"),
        KnobTrial(knobs=Knobs(threads=5), ratio=None, outcome="not-shown", why="3 paired rounds are too few for an interval"),
    )
    raced = KnobRace(candidate="int8", knobs=Knobs(threads=2), trials=trials, observed_at="2026-11-20T09:00:00", reused=False)
    assert knob_lines(a_choice("int8").model_copy(update={"knobs": raced})) == [
        "`int8` runs with 2 threads; "
        "speed is against its default, estimated in the race of runtime settings with 5 other settings",
        "2 threads: 1.41 × as fast, taken",
        "graph optimization extended: 1.10 × as fast, and the setting that was taken is faster by estimate",
        "spinning off: 0.99 × as fast, not shown to be faster",
        "1 thread: 1.60 × as fast, and not taken: other programs ran",
        "3 threads: 1.50 × as fast, and not usable: other logits",
        "4 threads: not usable: a run did not end",
        "5 threads: not shown to be faster: 3 paired rounds are too few for an interval",
    ]


def test_nothing_is_said_where_nothing_was_raced() -> None:
    assert knob_lines(a_choice("int8")) == []
