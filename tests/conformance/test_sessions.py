"""What a session owes to everything above it: it opens, takes any batch, refuses what does not fit, and repeats itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.graph.export import torch_logits
from edgecnn.runner.feeds import feed_of, run_checked
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.sessions import open_session
from edgecnn.values.model_file import LOGITS_TOLERANCE
from tests.conformance.subjects import NETWORK, Subject, answering_kit
from tests.graph.trunks import CLASSES, network, pictures
from tests.graph.trunks import feed_of as torch_feed

BATCHES = (1, 3, 8)


def answers(kit: Kit, pixels: Any, batch: int | None = None) -> Any:
    """Logits of a session opened for this alone."""
    session = open_session(kit, batch=batch)
    try:
        return run_checked(session, kit, feed_of(kit, pixels)).copy()
    finally:
        session.close()


def test_it_opens_and_says_what_it_takes(kit: Path) -> None:
    opened = Kit.open(kit)
    session = open_session(opened)
    (spec,) = session.inputs()
    wanted = opened.manifest.model.input
    assert (spec.name, spec.dtype) == (wanted.name, wanted.dtype)
    assert spec.shape[0] is None and None not in spec.shape[1:]
    session.close()


@pytest.mark.parametrize("batch", BATCHES)
def test_one_session_takes_every_batch_and_answers_as_for_each_image_alone(kit: Path, batch: int) -> None:
    opened, pixels = Kit.open(kit), pictures(batch, seed=5)
    session = open_session(opened)
    together = run_checked(session, opened, feed_of(opened, pixels)).copy()
    alone = np.concatenate([run_checked(session, opened, feed_of(opened, pixels[n : n + 1])) for n in range(batch)])
    session.close()
    assert together.shape == (batch, CLASSES) and together.dtype == np.float32
    assert np.abs(together - alone).max() <= 0.02 * np.ptp(alone)


@pytest.mark.parametrize("batch", BATCHES)
def test_a_session_for_one_batch_size_answers_as_one_for_any(kit: Path, batch: int) -> None:
    opened, pixels = Kit.open(kit), pictures(batch, seed=5)
    fixed, free = answers(opened, pixels, batch), answers(opened, pixels)
    assert np.abs(fixed - free).max() <= 0.02 * np.ptp(free)


def reshaped(feed: Any, wrong: str) -> Any:
    return {
        "dtype": feed.astype(np.float64),
        "channels": np.concatenate([feed, feed], axis=1),
        "size": feed[..., :-1],
        "rank": feed[0],
    }[wrong]


@pytest.mark.parametrize("wrong", ["dtype", "channels", "size", "rank"])
def test_a_feed_that_does_not_fit_is_refused_in_our_words_and_the_session_goes_on(kit: Path, wrong: str) -> None:
    opened = Kit.open(kit)
    session, feed = open_session(opened, batch=1), feed_of(opened, pictures(1))
    name = opened.manifest.model.input.name
    with pytest.raises(RunnerError) as caught:
        run_checked(session, opened, {name: reshaped(feed[name], wrong)})
    assert (caught.value.ref, caught.value.what) == ("wrong-feed", f"input {name!r} does not fit the model")
    assert run_checked(session, opened, feed).shape == (1, CLASSES)
    session.close()


def test_an_option_that_the_runtime_does_not_know_is_refused(kit: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        open_session(Kit.open(kit), {"no_such_option": "1"})
    assert caught.value.ref in ("bad-option", "runtime-refused-model")
    assert "no_such_option" in f"{caught.value.what} {caught.value.because}"


def test_the_same_input_gives_the_same_bytes_again_and_in_another_session(kit: Path) -> None:
    opened, pixels = Kit.open(kit), pictures(3, seed=6)
    session = open_session(opened)
    feed = feed_of(opened, pixels)
    first, again = (run_checked(session, opened, feed).tobytes() for _ in range(2))
    session.close()
    assert first == again == answers(opened, pixels).tobytes()


def test_what_a_call_returned_outlives_the_next_call_and_the_session(kit: Path) -> None:
    opened, pixels = Kit.open(kit), pictures(2, seed=7)
    session = open_session(opened, batch=1)
    first = run_checked(session, opened, feed_of(opened, pixels[:1]))
    kept = first.copy()
    run_checked(session, opened, feed_of(opened, pixels[1:]))
    session.close()
    assert np.array_equal(first, kept)


def test_it_agrees_with_torch_within_its_precisions_tolerance(subject: Subject) -> None:
    """By the candidate's own kit, or by the twin that answers for an engine's accuracy where there is no GPU."""
    opened, pixels = Kit.open(answering_kit(subject)), pictures(16, seed=8)
    expected = torch_logits(network(NETWORK), torch_feed(pixels))
    try:
        found = answers(opened, pixels)
    except RunnerError as error:
        if not error.missing:
            raise
        pytest.skip(f"{error.what}: {error.because or error.hint}")
    apart = np.abs(found - expected).max() / np.ptp(expected)
    assert apart <= LOGITS_TOLERANCE[subject.candidate.precision]
