from pathlib import Path

import pytest

from edgecnn.errors.base import ExitCode
from edgecnn.errors.comparing import GitFailed, NoBuildToCompare, PinnedKitMissing, PinUnreadable, RevisionMisspelt

MISSING = PinnedKitMissing(
    where="base.json", kit="0a8b" * 16, because="the store s does not hold it", command="edgecnn build --arch a",
    tools=("x 1 (here 2)",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            PinUnreadable(where="base.json", because="it was edited"),
            "base.json cannot be read as the record of a pinned build: it was edited"
            " — edgecnn baseline pin BUILD --out FILE writes one [pin-unreadable]",
        ),
        (
            MISSING,
            "the kit 0a8b0a8b0a8b… that base.json pins is not here: the store s does not hold it; it was built with x 1 (here 2)"
            " — edgecnn build --arch a [pinned-kit-missing]",
        ),
        (
            RevisionMisspelt(text="git:HEAD", because="a path must follow"),
            "--against git:HEAD names no record at a revision: a path must follow — write git:REVISION:PATH, such as"
            " git:origin/main:gates/base.json; a folder of that name is ./git:… [revision-misspelt]",
        ),
        (
            GitFailed(text="git:HEAD:a", because="HEAD has no a", hint="name another"),
            "git:HEAD:a cannot be read: HEAD has no a — name another [git-failed]",
        ),
        (
            NoBuildToCompare(folder=Path("x"), record=True),
            "x is neither a finished build nor a bundle, nor the record of a pinned one: nothing of this name is there — name the"
            " folder of a finished build, such as builds/ARCH-DEVICE, or its bundle, or a record: its file, or git:REVISION:PATH"
            " [no-build-to-compare]",
        ),
    ],
)
def test_each_says_what_why_and_what_mends_it(error: Exception, line: str) -> None:
    assert str(error) == line


def test_a_kit_that_is_not_here_is_missing_and_a_misspelt_revision_is_bad_input() -> None:
    assert MISSING.exit_code == ExitCode.MISSING
    assert RevisionMisspelt.exit_code == GitFailed.exit_code == PinUnreadable.exit_code == ExitCode.BAD_INPUT
