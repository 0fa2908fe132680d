from edgecnn.sweeps.durations import Seconds, total


def test_what_is_unknown_is_counted_and_not_guessed() -> None:
    assert total([Seconds(1.0, 2.0), None, Seconds(3.0, 5.0)]) == (Seconds(4.0, 7.0), 1)
    assert total([]) == (Seconds(0.0, 0.0), 0)
