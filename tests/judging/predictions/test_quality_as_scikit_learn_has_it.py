"""Where scikit-learn is installed, it says the same. edgecnn does not depend on it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.judging.logits import read_logits
from edgecnn.judging.quality import class_counts, macro_f1

metrics = pytest.importorskip("sklearn.metrics")


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_macro_f1_and_recalls(classes, images, seed):
    rng = np.random.default_rng(seed)
    labels, predicted = rng.integers(0, classes, (2, images))
    counts, seen = class_counts(labels, predicted, classes), np.unique(labels)
    known = {"labels": seen, "zero_division": 0}
    assert macro_f1(labels, predicted, counts).estimate == pytest.approx(
        metrics.f1_score(labels, predicted, average="macro", **known)
    )
    assert counts.f1[seen] == pytest.approx(metrics.f1_score(labels, predicted, average=None, **known))
    recalls = counts.right[seen] / counts.images[seen]
    assert recalls == pytest.approx(metrics.recall_score(labels, predicted, average=None, **known))


@settings(deadline=None)
@given(st.integers(6, 20), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_top_5(classes, images, seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(images, classes)).astype(np.float32), rng.integers(0, classes, images)
    ours = (read_logits(logits, labels).place < 5).mean()
    assert ours == pytest.approx(metrics.top_k_accuracy_score(labels, logits, k=5, labels=np.arange(classes)))
