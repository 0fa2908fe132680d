from __future__ import annotations

from benchmarks.cross_check.kits import Compared, compare


def test_a_row_says_whether_the_estimate_and_whether_the_whole_interval_is_inside_the_target() -> None:
    near = Compared("x", ours_ms=(10.1,) * 8, theirs_ms=(10.0,) * 8)
    assert near.row() == "| x | 10.00 | 10.10 | 1.010 [1.010, 1.010] | yes | yes |"
    noisy = Compared("x", ours_ms=(9.0, 11.0) * 4, theirs_ms=(10.0,) * 8)
    assert noisy.row().endswith("| yes | no |")
    far = Compared("x", ours_ms=(12.0,) * 8, theirs_ms=(10.0,) * 8)
    assert far.row().endswith("| no | no |")


def test_too_few_rounds_give_no_ratio() -> None:
    assert "too few" in Compared("x", ours_ms=(1.0,) * 6, theirs_ms=(1.0,) * 6).row()


def test_both_run_once_a_round() -> None:
    called: list[str] = []
    compare("x", lambda: called.append("ours") or 1.0, lambda: called.append("theirs") or 1.0, rounds=4)
    assert all(set(called[start : start + 2]) == {"ours", "theirs"} for start in range(0, 8, 2))
