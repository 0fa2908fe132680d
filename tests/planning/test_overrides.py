"""`--set` changes what it names and nothing else, or is refused whole with every problem."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.recipes import OverridesInvalid
from edgecnn.planning.recipe import apply_overrides, load_recipe
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.recipe import Recipe
from edgecnn.values.toml import dotted_keys
from tests.planning.test_recipe import SCALARS


def test_height_by_width_is_no_hexadecimal_number() -> None:
    assert apply_overrides(Recipe(), ["model.resolution_px=48x192"]).model.resolution_px == ImageSize(48, 192)
    with pytest.raises(EdgecnnError, match="'0x48' is neither a side in pixels nor HEIGHTxWIDTH"):
        apply_overrides(Recipe(), ["model.resolution_px=0x48"])


def test_overrides_change_what_they_name_and_nothing_else() -> None:
    recipe = load_recipe("demo")
    changed = apply_overrides(recipe, ["train.epochs=3", "model.arch=resnet-18", 'target.device="jetson"', "gates.max.p99_ms=20"])
    assert (changed.train.epochs, changed.model.arch, changed.target.device) == (3, "resnet-18", "jetson")
    assert changed.gates.max == {"p99_ms": 20.0}
    assert changed.model.resolution_px == recipe.model.resolution_px
    assert recipe.train.epochs != 3, "the recipe given is not edited"


def test_overrides_apply_in_order_and_none_is_none() -> None:
    assert apply_overrides(Recipe(), ["train.epochs=3", "train.epochs=4"]).train.epochs == 4
    assert apply_overrides(load_recipe("demo"), []) == load_recipe("demo")


def test_what_is_unset_stays_unset_after_an_override() -> None:
    assert apply_overrides(Recipe(), ["train.epochs=3"]).model_fields_set == {"train"}


def test_every_problem_of_overrides_is_named_at_once() -> None:
    with pytest.raises(OverridesInvalid) as caught:
        apply_overrides(Recipe(), ["train.epoch=3", "train", "train=3", "train.batch_size=none", "colour=red"])
    assert caught.value.line() == (
        "a setting cannot be applied: train.epoch is not a key, the nearest is train.epochs; 'train' is not KEY=VALUE; "
        "train is a table; set its keys one by one; colour is not a key; "
        'train.batch_size must be a whole number, not "none" — '
        "correct the option; --set takes TABLE.KEY=VALUE, as in --set train.epochs=3 [overrides-invalid]"
    )


def test_a_table_that_an_earlier_override_made_something_else_is_named() -> None:
    with pytest.raises(
        OverridesInvalid, match=r"gates\.max\.drop_pp cannot be set: gates\.max was set to false, which is not a table"
    ):
        apply_overrides(Recipe(), ["gates.max=false", "gates.max.drop_pp=1"])


def test_a_second_line_in_a_value_is_text_and_sets_nothing_more() -> None:
    with pytest.raises(OverridesInvalid, match="train.epochs must be a whole number"):
        apply_overrides(Recipe(), ["train.epochs=3\ntrain.seed = 5"])


@settings(max_examples=250, deadline=None)
@given(key=st.one_of(st.sampled_from(dotted_keys(Recipe)), st.text(max_size=20)), value=st.one_of(SCALARS, st.text(max_size=20)))
def test_no_override_ends_in_a_traceback(key: str, value: str) -> None:
    try:
        apply_overrides(Recipe(), [f"{key}={value}"])
    except EdgecnnError as error:
        assert "\n" not in error.line().replace(value, "")
