"""Failures of having one network teach another."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError


class NoTeacher(EdgecnnError):
    """Raised in resolve where the folder that is to teach holds no trained network, or the network that is to has no weights."""

    ref = "no-teacher"

    def __init__(self, *, named: Path | str, because: str, hint: str) -> None:
        super().__init__(what=f"{named} cannot teach", because=because, hint=hint)


class TeacherSawOtherImages(EdgecnnError):
    """Raised in resolve where a build of other images is to teach: what judges here may have taught there."""

    ref = "teacher-saw-other-images"

    def __init__(self, *, folder: Path, theirs: str, ours: str) -> None:
        super().__init__(
            what=f"{folder} cannot teach from {theirs} what is judged by {ours}",
            because="its images, classes or roles are others, so that images which judge here may have taught it",
            hint="build the teacher on the same --data, or name a network of the list, which is trained on it",
        )


class TeacherNotFitting(EdgecnnError):
    """Raised in resolve where a teacher is asked for beside what would leave it unheard."""

    ref = "teacher-not-fitting"

    def __init__(self, *, beside: str, because: str) -> None:
        super().__init__(what=f"train.teacher does not go with {beside}", because=because, hint="leave one of them out")
