from __future__ import annotations

from edgecnn.errors.bundle import NoPhotoReadable, TwoOutputForms
from edgecnn.runner.pixels import NOT_A_PICTURE


def test_nothing_readable_names_the_first_file() -> None:
    error = NoPhotoReadable(count=3, file="a.txt", because=NOT_A_PICTURE)
    assert error.line() == (f"none of 3 files can be read as a picture: a.txt: {NOT_A_PICTURE} [no-photo-readable]")


def test_two_forms_of_one_answer_are_refused() -> None:
    assert TwoOutputForms().line() == "--csv and --json are two forms of one answer — ask for one of them [two-forms-asked]"
