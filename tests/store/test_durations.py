from pathlib import Path

from edgecnn.store.listing import Durations, Seconds, total_duration, usual_range
from edgecnn.store.store import Store
from tests.store.toys import Quantize, Train, obtain


def test_what_is_unknown_is_counted_and_not_guessed() -> None:
    assert total_duration([Seconds(1.0, 2.0), None, Seconds(3.0, 5.0)]) == (Seconds(4.0, 7.0), 1)
    assert total_duration([]) == (Seconds(0.0, 0.0), 0)


def test_of_few_the_extremes_and_of_many_what_nine_of_ten_stay_within() -> None:
    assert usual_range([]) is None
    assert usual_range([3.0, 1.0]) == Seconds(1.0, 3.0)
    many = usual_range([float(each) for each in range(101)])
    assert many == Seconds(10.0, 90.0)


def test_a_store_tells_of_the_kinds_that_it_made(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    obtain(store, Train(epochs=2))
    durations = Durations(store)
    assert durations.of(Train(epochs=9)) is not None and durations.of(Quantize()) is None
