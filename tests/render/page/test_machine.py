"""What the machine was like: known names first, what could not be read named as such, and nothing left out."""

from __future__ import annotations

from edgecnn.render.page.report import machine, raced_under
from edgecnn.values.profile import Environment

HERE = Environment(
    conditions={"cpu": "AMD EPYC", "isa": "avx2 fma", "cores": "2", "affinity": "0-1", "cpu_limit": "none"},
    observed={"load_1min": "0.4", "steal_percent": "0.2", "frequency_mhz": "2600", "throttled": "no", "moon_phase": "full"},
)


def test_all_that_a_latency_hangs_on_stands_in_words_with_units() -> None:
    read = dict(machine(HERE).read)
    assert read["processor"] == "AMD EPYC"
    assert (read["clock"], read["CPU time taken by the hypervisor"], read["throttled"]) == ("2600 MHz", "0.2 %", "no")
    assert (read["core limit of the container"], read["core numbers"]) == ("none", "0-1")
    assert list(read)[-1] == "moon phase", "a name that is not known is shown too"


def test_what_every_machine_has_and_this_one_does_not_tell_is_named() -> None:
    assert machine(HERE).unread == ("governor", "temperature")
    assert machine(Environment(conditions={}, observed={})).unread == (), "where nothing was recorded, nothing was asked"


def test_each_race_has_its_own_conditions_and_no_column_that_nobody_could_read() -> None:
    hot = HERE.model_copy(update={"observed": {**HERE.observed, "temperature_c": "71.5"}})
    table = raced_under({"onnxruntime-fp32": ("today", HERE), "onnxruntime-int8": ("today", hot)})
    column = table.columns.index("temperature")
    assert [cells[column] for cells in table.rows] == ["not available", "71.5 °C"]
    assert "governor" not in table.columns
