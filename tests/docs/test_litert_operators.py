"""The page of LiteRT's operators is what the registry and the record say."""

from __future__ import annotations

from docs.litert_operators import PAGE, coverage, page, table
from edgecnn.models.catalogue import all_archs


def test_the_page_is_made_from_the_registry_and_the_record() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m docs.litert_operators writes it"


def test_a_network_without_a_form_is_named() -> None:
    row = {"operators": ["Conv", "Det"], "seconds": 0.5, "difference": 2e-6}
    lenet = {key: value for key, value in row.items() if key == "operators"} | {
        "missing": "Det (layer d): edgecnn has no rule for it"
    }
    record = {"lenet-5": lenet, "resnet-18": row, "timm:resnet10t": row}
    text = coverage(record)
    assert text.startswith(
        f"**1 of the {len(all_archs())} networks of the catalogue are written whole**, and 1 of 1 networks of timm."
    )
    assert "Half of the conversions took 0.5 s or less; the slowest, resnet-18, took 0.5 s." in text
    assert "by at most 2e-06 of their spread in the catalogue, and 2e-06 in timm." in text
    assert text.endswith("- `lenet-5` has no form of Det (layer d): edgecnn has no rule for it.")
    assert (
        "| Conv | `CONV_2D`, `DEPTHWISE_CONV_2D`, `PAD` | one or two axes, constant weights | 2 |" in table(record).splitlines()
    )
