from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.devices.files import device_named
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.fit import NOT_IN_A_SEARCH
from edgecnn.fit import run
from edgecnn.fit.request import FitRequest
from edgecnn.planning.recipe import apply_overrides
from edgecnn.store.store import Store
from edgecnn.values.recipe import FitChoice, Recipe
from tests.store.toys import Ear


@pytest.mark.parametrize("override", ["train.minutes=20", "train.folds=5", "model.keep_head=true", "surgery.instead=true"])
def test_a_setting_that_a_search_does_not_take_is_refused_before_any_work(
    override: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(run, "check_output")
    recipe, ear = apply_overrides(Recipe(), [override]), Ear()
    choice = FitChoice(family="mobilenet-v2", within={"p50_ms": 5.0})
    request = FitRequest(choice=choice, recipe=recipe, device=device_named("cpu"), out=tmp_path / "out")
    with pytest.raises(EdgecnnError, check=NOT_IN_A_SEARCH.made) as refused:
        run.fit(request, Store.open(tmp_path / "store"), ear)
    assert (refused.value.fields["asked"], ear.steps) == (override.split("=")[0], [])
