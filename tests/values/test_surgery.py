from __future__ import annotations

import pytest

from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.training import Surgery

PLAIN = Candidate(id="openvino-fp32", runtime=Runtime.OPENVINO, precision=Precision.FP32)


@pytest.mark.parametrize(
    ("asked", "suffix", "done"),
    [
        ({"activation": "hard-swish", "epochs": 2}, "hard-swish", "SiLU replaced by hard-swish, re-trained 2 epochs"),
        ({"activation": "relu6", "epochs": 1}, "relu6", "SiLU replaced by ReLU6, re-trained 1 epoch"),
        ({"squeeze_excite": "remove", "epochs": 3}, "no-se", "squeeze-excite removed, re-trained 3 epochs"),
        (
            {"activation": "hard-swish", "squeeze_excite": "remove", "epochs": 2},
            "hard-swish-no-se",
            "SiLU replaced by hard-swish, squeeze-excite removed, re-trained 2 epochs",
        ),
    ],
)
def test_what_was_done_is_said_in_the_id_and_in_words(asked: dict[str, object], suffix: str, done: str) -> None:
    found = Surgery.model_validate(asked)
    assert (found.suffix, found.done) == (suffix, done)


def test_a_candidate_of_an_unchanged_network_is_written_without_a_word_of_surgery() -> None:
    assert "surgery" not in PLAIN.model_dump(mode="json")
    assert "surgery" not in PLAIN.model_dump_json()
    assert Candidate.model_validate(PLAIN.model_dump()) == PLAIN


def test_a_changed_ones_surgery_comes_back_from_json() -> None:
    changed = PLAIN.model_copy(update={"surgery": Surgery(activation="relu6", epochs=2)})
    assert Candidate.model_validate_json(changed.model_dump_json()) == changed
