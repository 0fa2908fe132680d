"""A whole build with SiLU taken out: its candidates are measured as any other, and every place says what was done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.building.builds import Place, place_with_photos

pytestmark = pytest.mark.slow  # trains EfficientNet-B0 twice and races two runtimes: minutes on two cores
DONE = "SiLU replaced by hard-swish, re-trained 2 epochs"
WORDS = (
    "--arch", "efficientnet-b0", "--target", "cpu:openvino", "--set", "model.resolution_px=64", "--set", "train.epochs=6",
    "--set", "surgery.activation=hard-swish", "--set", "surgery.epochs=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = place_with_photos(tmp_path_factory.mktemp("surgery"))
    done = made.run("build", *WORDS)
    assert done.returncode in (0, 1), done.stderr  # so few images may well show a loss
    assert f"…-hard-swish: of a changed network: {DONE}" in done.stdout
    return made


def test_its_candidates_are_answered_for_counted_and_held_against_the_unchanged_network(place: Place) -> None:
    rows = {row["candidate"]["id"]: row for row in place.report()["candidates"]}
    for name in ("openvino-fp32", "openvino-int8"):
        plain, changed = rows[name], rows[f"{name}-hard-swish"]
        assert "surgery" not in plain["candidate"]
        assert changed["candidate"]["surgery"] == {"activation": "hard-swish", "squeeze_excite": "keep", "epochs": 2}
        assert changed["validation"]["drop_pp"] is not None
        assert changed["because"]["kind"] in ("taken", "slower", "not-shown-faster", "loses", "not-measured")
        shares = changed["residency"]["mac_share"]
        assert shares.get("unknown", 0.0) < 0.01
        assert shares[changed["candidate"]["precision"]] > 0.9
    assert rows["onnxruntime-fp32"]["is_baseline"]


def test_the_report_the_page_and_explain_say_what_was_done(place: Place) -> None:
    assert DONE in (place.out / "report.md").read_text()
    explained = place.plain("explain", place.out)
    assert f"built from a changed network: {DONE}" in explained.stdout
    page = place.plain("report", place.out)
    assert page.returncode == 0, page.stderr
    assert any(DONE in file.read_text() for file in Path(place.out).glob("*.html"))


def test_the_same_again_trains_nothing(place: Place) -> None:
    assert place.run("package", *WORDS).returncode == 0
    found = place.progress()
    assert {found[step]["outcome"] for step in ("train", "surgery", "package:openvino-int8-hard-swish")} == {"cached"}
