"""The page of LiteRT's operators is what the registry and the record say."""

from __future__ import annotations

import json

import pytest

from benchmarks.litert_coverage import RECORD, rounded_up
from docs.litert_operators import PAGE, coverage, page, table
from edgecnn.models.catalogue import all_archs


def test_the_page_is_made_from_the_registry_and_the_record() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m docs.generated"


def test_a_network_without_a_form_is_named() -> None:
    row = {"operators": ["Conv", "Det"], "seconds": 0.5, "difference": 2e-6}
    lenet = {key: value for key, value in row.items() if key == "operators"} | {
        "missing": "Det (layer d): edgecnn has no rule for it"
    }
    record = {"lenet-5": lenet, "resnet-18": row, "timm:resnet10t": row}
    text = coverage(record)
    assert text.startswith(
        f"2 of the {len(all_archs())} networks of the catalogue were tried, and 1 of timm's. "
        "**1 of the 2 are written whole**, and 1 of the 1 of timm."
    )
    assert "Half of the conversions took 0.5 s or less; the slowest, resnet-18, took 0.5 s." in text
    assert "by at most 2e-06 of their spread in the catalogue, and 2e-06 in timm." in text
    assert "- `lenet-5` has no form of Det (layer d): edgecnn has no rule for it." in text.splitlines()
    untried = text.splitlines()[-1].removeprefix("Not tried: ").removesuffix(".").split(", ")
    names = {f"`{spec.name}`" for spec in all_archs()}
    assert set(untried) == names - {"`lenet-5`", "`resnet-18`"} | {"the other networks of timm"}
    assert (
        "| Conv | `CONV_2D`, `DEPTHWISE_CONV_2D`, `PAD` | one or two axes, constant weights | 2 |" in table(record).splitlines()
    )


def test_every_network_of_the_catalogue_is_in_the_record_or_said_not_to_be_tried() -> None:
    record, text = json.loads(RECORD.read_text(encoding="utf-8")), PAGE.read_text(encoding="utf-8")
    untried = next(line for line in text.splitlines() if line.startswith("Not tried: "))
    assert [spec.name for spec in all_archs() if spec.name not in record and f"`{spec.name}`" not in untried] == []


@pytest.mark.parametrize(
    ("value", "digits", "up"), [(0.0014, 1, 0.002), (0.00057, 1, 0.0006), (2e-6, 1, 2e-6), (0.0, 1, 0.0), (0.00101, 2, 0.0011)]
)
def test_a_difference_is_rounded_up(value: float, digits: int, up: float) -> None:
    assert rounded_up(value, digits) == up


def test_hard_swish_is_other_operators_in_int8() -> None:
    assert "| HardSwish | `HARD_SWISH`; in INT8 `ADD`, `MUL`, `MUL` |" in PAGE.read_text(encoding="utf-8")
