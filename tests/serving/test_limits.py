from __future__ import annotations

from edgecnn.bundle.answering import Limits, Rates


def test_a_fifth_of_a_minute_s_photographs_go_at_once_and_the_rest_evenly() -> None:
    now = [0.0]
    rates = Rates(Limits(per_minute=60), lambda: now[0])
    assert [rates.wait_s("a") for _ in range(13)] == [0.0] * 12 + [1.0]
    assert rates.wait_s("b") == 0.0, "another client has its own"
    now[0] = 1.0
    assert [rates.wait_s("a"), rates.wait_s("a")] == [0.0, 1.0]
    now[0] = 1000.0
    assert [rates.wait_s("a") for _ in range(13)] == [0.0] * 12 + [1.0], "no more is saved up than that"


def test_whoever_was_silent_longest_is_forgotten_where_there_are_too_many() -> None:
    rates = Rates(Limits(per_minute=5, clients=2), lambda: 0.0)
    assert [rates.wait_s(client) for client in ("a", "b", "a")] == [0.0, 0.0, 12.0]
    assert rates.wait_s("c") == 0.0
    assert rates.wait_s("a") == 12.0
    assert rates.wait_s("b") == 0.0, "it was forgotten for c"
