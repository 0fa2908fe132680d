from __future__ import annotations

from pathlib import Path

from edgecnn.errors.training import NoTeacher, TeacherNotFitting, TeacherSawOtherImages


def test_a_folder_that_cannot_teach_says_why_and_what_makes_one() -> None:
    error = NoTeacher(named=Path("builds/large"), because="nothing was trained in it", hint="name a network of the list")
    assert error.line() == "builds/large cannot teach: nothing was trained in it — name a network of the list [no-teacher]"


def test_a_build_of_other_images_is_no_teacher() -> None:
    assert TeacherSawOtherImages(folder=Path("builds/large"), theirs="/old", ours="/new").line() == (
        "builds/large cannot teach from /old what is judged by /new: its images, classes, roles or groups are others, so"
        " that images which judge here may have taught it — build the teacher on the same --data, or name a network of the list,"
        " which is trained on it [teacher-saw-other-images]"
    )


def test_a_teacher_that_nobody_would_hear_is_a_contradiction() -> None:
    error = TeacherNotFitting(beside="--transfer head", because="the head alone learns, and only from labels")
    assert error.line() == (
        "train.teacher does not go with --transfer head: the head alone learns, and only from labels — leave one of them out"
        " [teacher-not-fitting]"
    )
