"""What doctor tries of each part: each works where its package is whole, and a library that does nothing is found."""

from __future__ import annotations

import pytest

from edgecnn.devices.doctor.facts import State
from edgecnn.devices.doctor.parts import PARTS
from edgecnn.devices.doctor.trials import TRIALS
from edgecnn.devices.doctor.trying import Trials
from edgecnn.installed import installed_version
from tests.store.toys import Ear

LEADS = {row.name: row.lead for row in PARTS}
SECONDS = ("train", "aware", "zoo")
"""What these cost to try; `tests/cli/test_doctor.py` does, by the verb."""


@pytest.mark.parametrize("part", sorted(set(TRIALS) - set(SECONDS)))
def test_a_part_that_is_whole_passes_its_trial(part: str) -> None:
    if installed_version(LEADS[part]) is None:
        pytest.skip(f"{LEADS[part]} is not installed")
    assert TRIALS[part]()["found"]


@pytest.mark.parametrize(
    "part, call, found",
    [
        ("train", "torch.optim.SGD.step", "the loss changed from"),
        ("report", "vl_convert.vegalite_to_vega", "a chart or a template was not rendered correctly"),
    ],
)
def test_a_library_that_does_nothing_is_found(part: str, call: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, lambda *_, **__: {})
    with pytest.raises(ArithmeticError, match=found):
        TRIALS[part]()


def test_a_trial_in_a_process_of_its_own_says_what_it_found() -> None:
    assert Trials(Ear(), gpu_models=())._run_trial("parquet") == (State.WORKS, "wrote a table and read it back")
