from __future__ import annotations

from edgecnn.errors.predicting import NoPhotoReadable, TwoFormsAsked


def test_nothing_readable_names_the_first_file() -> None:
    error = NoPhotoReadable(count=3, file="a.txt", because="not a picture in a format that Pillow reads")
    assert error.line() == (
        "none of 3 files can be read as a picture: a.txt: not a picture in a format that Pillow reads [no-photo-readable]"
    )


def test_two_forms_of_one_answer_are_refused() -> None:
    assert TwoFormsAsked().line() == "--csv and --json are two forms of one answer — ask for one of them [two-forms-asked]"
