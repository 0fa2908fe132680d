from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.store.entry import explain_miss
from edgecnn.store.store import Store
from edgecnn.values.artifact import Miss
from edgecnn.values.stage import digest_of
from tests.store.toys import VERSIONS, Prepare, Quantize, Scheme, obtain, source


def why(store: Store, stage: Quantize, versions: dict[str, str] = VERSIONS) -> tuple[str, ...]:
    found = store.artifacts.find(stage, versions, {})
    assert isinstance(found, Miss)
    return found.why


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (Quantize(images=512), "quantize.images: 256 → 512"),
        (Quantize(scheme=Scheme(bias="float")), "quantize.scheme.bias: int32 → float"),
        (Quantize(note="a"), "quantize.note: unset → a"),
        (Quantize(note=""), 'quantize.note: unset → ""'),
        (Quantize(note="x" * 100), f"quantize.note: unset → {'x' * 59}…"),
        (Quantize(inputs={"model": digest_of(1)}), f"quantize.inputs.model: absent → {digest_of(1)[:12]}"),
    ],
)
def test_a_miss_names_the_field_that_differs(store: Store, wanted: Quantize, line: str) -> None:
    obtain(store, Quantize())
    assert line in why(store, wanted)


def test_a_tool_version_stands_for_itself(store: Store) -> None:
    obtain(store, Quantize())
    assert why(store, Quantize(), {"onnxruntime": "1.31"}) == ("tools.onnxruntime: 1.30 → 1.31",)


def test_an_input_is_named_by_both_keys(store: Store, tmp_path: Path) -> None:
    first, second = source(tmp_path / "a", "a"), source(tmp_path / "b", "b")
    obtain(store, Quantize(inputs={"model": first.key}), inputs={"model": first})
    assert why(store, Quantize(inputs={"model": second.key})) == (f"quantize.inputs.model: {first.key[:12]} → {second.key[:12]}",)


def test_sequences_of_settings_are_compared_item_by_item(store: Store) -> None:
    obtain(store, Quantize(steps=(Scheme(), Scheme())))
    assert why(store, Quantize(steps=(Scheme(), Scheme(bias="float")))) == ("quantize.steps[1].bias: int32 → float",)


def test_the_nearest_entry_explains_and_of_equally_near_ones_the_newest(store: Store) -> None:
    obtain(store, Quantize(images=1, note="far", scheme=Scheme(bias="float")))
    obtain(store, Quantize(images=2, note="near"))
    obtain(store, Quantize(images=3, note="near"))
    assert why(store, Quantize(images=4, note="near")) == ("quantize.images: 3 → 4",)


def test_other_kinds_explain_nothing(store: Store) -> None:
    obtain(store, Prepare())
    assert why(store, Quantize()) == ()


def test_another_candidate_explains_nothing() -> None:
    stored = {"kind": "quantize", "settings": {"candidate": {"id": "litert-int8"}, "images": 1}}
    wanted = {"kind": "quantize", "settings": {"candidate": {"id": "litert-int8-mixed-2"}, "images": 2}}
    assert explain_miss([stored], wanted) == ()


def test_a_revision_and_a_number_of_another_type_are_differences() -> None:
    stored = {"kind": "train", "revision": 1, "settings": {"rate": 1, "gone": True}, "inputs": {}, "tools": {}}
    wanted = {"kind": "train", "revision": 2, "settings": {"rate": 1.0}, "inputs": {}, "tools": {}}
    assert explain_miss([stored], wanted) == ("train.revision: 1 → 2", "train.rate: 1 → 1.0", "train.gone: true → absent")


def test_unreadable_neighbours_are_passed_over(store: Store) -> None:
    made, _ = obtain(store, Quantize(images=1))
    for number, text in enumerate(("", "[]", '{"payload": 3}', "{}")):
        folder = made.folder.parent.parent / f"broken-{number}"
        folder.mkdir()
        (folder / "record.json").write_text(text)
    assert why(store, Quantize(images=2)) == ("quantize.images: 1 → 2",)
