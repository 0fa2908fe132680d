from __future__ import annotations

import json
import subprocess
import sys

import pytest

from edgecnn.errors.base import error_again
from edgecnn.errors.training import (
    TRAINING_DIVERGED,
    training_diverged,
)

RATE = ("train.learning_rate", 2e-3)


def test_an_error_of_another_process_is_the_same_error_here() -> None:
    error = training_diverged(phase="scratch", epoch=3, batch=17, kept=None, rate=RATE)
    again = error_again(error.kept())
    assert TRAINING_DIVERGED.made(again) and again.line() == error.line()


def test_its_row_need_not_be_imported_here() -> None:
    kept = json.dumps(training_diverged(phase="scratch", epoch=3, batch=17, kept=None, rate=RATE).kept())
    code = "import json, sys; from edgecnn.errors.base import error_again; print(repr(error_again(json.loads(sys.argv[1]))))"
    ended = subprocess.run([sys.executable, "-c", code, kept], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("EdgecnnError('training diverged in phase scratch, epoch 3, batch 17")


def test_the_text_of_an_unknown_reference_is_kept() -> None:
    kept = training_diverged(phase="scratch", epoch=3, batch=17, kept=None, rate=RATE).kept()
    with pytest.raises(LookupError, match="phase scratch, epoch 3, batch 17"):
        error_again({**kept, "ref": "gone"})
