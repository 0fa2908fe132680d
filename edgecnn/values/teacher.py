"""Who teaches a network where it learns another network's answers in place of labels."""

from __future__ import annotations

from edgecnn.values.base import Value
from edgecnn.values.key import Key
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.weights import WeightsAnswer


class TeacherTerms(Value):
    """What a training has to know of its teacher beside the weights; it enters the key."""

    arch: str
    normalization: Normalization
    """The teacher's own, which pixels are brought to."""


class Teacher(Value):
    """What ``train.teacher`` came to: a network of the list that is fine-tuned first, or a finished build's network."""

    named: str
    """As it was asked."""
    terms: TeacherTerms
    weights: WeightsAnswer | None = None
    """Of a network of the list: where its fine-tuning begins; None of a finished build."""
    trained: Key | None = None
    """Of a finished build: the SHA-256 of its trained weights."""
    folder: str | None = None
    """Of a finished build: the store's folder that holds them."""


class TeacherFacts(Value):
    """Who taught, as a training writes it down."""

    arch: str
    choose_top1: float
    """0…1: the teacher's own, on the very pixels that judge what it teaches."""
