"""Measurements of reference networks on one machine and day, as a file for others, and the result of its verification."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.candidate import Candidate
from edgecnn.values.figures import Throughput
from edgecnn.values.layers import Residency
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.profile import Environment
from edgecnn.values.report import Latency

_SHA256 = "^[0-9a-f]{64}$"
_PATH = re.compile(r"~?(?:/[^\s:/'\"`]+)+/([^\s:/'\"`]+)")
_QUOTED_PATH = re.compile(r"(['\"`])~?/(?:[^'\"`]*/)?([^'\"`/]+)\1")


def redact_paths(text: str, board: str | None = None) -> str:
    """Cut each path to its last name, and replace a board's address: records are sent to others, and a folder's name may be a
    person's.

    ``board``: its address, which failures there begin with. Inside a longer word it stays.
    """
    text = text.replace(f"{os.environ.get('HOME') or '~'}/", "~/")  # its spaces are known to belong to a path
    text = _PATH.sub(r"…/\1", _QUOTED_PATH.sub(r"\1…/\2\1", text))
    if board is None:
        return text
    word = rf"(?<![\w-]){re.escape(board)}"
    return re.sub(rf"{word}(?![\w-])", "the board", re.sub(f"{word}: ", "", text))


def renamed(environment: Environment, secret: bytes) -> Environment:
    """Replace the machine's digest by one that is keyed with a secret (HMAC-SHA-256).

    A plain digest of a serial number or host name can be guessed. With the same secret, a machine keeps its name.
    """
    machine = environment.conditions.get("machine")
    if machine is None:
        return environment
    name = hmac.new(secret, machine.encode("utf-8"), hashlib.sha256).hexdigest()[:16]
    return environment.model_copy(update={"conditions": {**environment.conditions, "machine": name}})


class EvidenceWeights(Value):
    """Weights of a network. Latency does not depend on them."""

    origin: Literal["published", "seeded"]
    """seeded: random weights from a fixed seed, never called pretrained."""
    what: str
    """In words, such as ``ImageNet-1k weights (ResNet18_Weights.IMAGENET1K_V1)``."""
    sha256: str | None = None
    """Of the published file; None for seeded weights, which the kit's digest and edgecnn's version identify."""
    licence: str | None = None


class EvidenceKit(Value):
    """One measured kit."""

    candidate: Candidate
    kit: str = Field(pattern=_SHA256)
    """SHA-256 of the kit's manifest, which holds the SHA-256 of every file in the kit."""
    runtime_version: str
    size_mib: PositiveFloat
    """Size of the model's files."""
    latency: Latency
    residency: Residency | None
    """The precisions that really ran, without the list of layers; None: no trace could be read."""
    environment: Environment
    """Of its runs: conditions, and observations over all of them."""
    throughput: Throughput | None = Field(default=None, exclude_if=lambda throughput: throughput is None)
    """Of a GPU, at the kit's largest batch size."""


class EvidenceNetwork(Value):
    """One reference network, with the race of its kits."""

    arch: str
    resolution_px: Resolution
    classes: PositiveInt
    parameters: PositiveInt
    macs: PositiveInt
    """Multiply-adds for one image."""
    weights: EvidenceWeights
    kits: tuple[EvidenceKit, ...]
    failed: Mapping[str, str] = {}
    """Candidate to the reason why it has no figures."""


class EvidenceRecord(Value):
    """A file of ``edgecnn evidence``, schema edgecnn.evidence/1. It states no accuracy, since no network was evaluated."""

    schema_: Literal["edgecnn.evidence/1"] = Field(default="edgecnn.evidence/1", alias="schema")
    version: str
    """Version of edgecnn."""
    device: str
    """Name of the device file."""
    device_title: str
    device_sha256: str = Field(pattern=_SHA256)
    """SHA-256 of the device file."""
    machine: str
    """The machine, in words."""
    environment: Environment
    """The machine's environment, without the conditions of a kit."""
    measured_at: str
    """Date of the oldest figure."""
    minutes: PositiveFloat
    """Time limit of the measurement."""
    seconds: NonNegativeFloat
    """Duration of the measurement; stored figures took no time."""
    networks: tuple[EvidenceNetwork, ...] = Field(min_length=1)
    left_out: Mapping[str, str] = {}
    """Skipped network or candidate, to the reason."""
    warnings: tuple[str, ...] = ()
    """Findings on the machine that distort figures, a sentence each."""
    sha256: str = ""
    """SHA-256 of the canonical JSON without this field and the signature; an edited file is refused."""
    signature: str | None = None
    """An SSHSIG over the canonical JSON of all other fields; None: unsigned."""


class EvidenceVerification(Value):
    """``edgecnn evidence verify FILE --json``, schema edgecnn.evidence-verification/1. A refused file has none."""

    schema_: Literal["edgecnn.evidence-verification/1"] = Field(default="edgecnn.evidence-verification/1", alias="schema")
    path: str
    signature: Literal["none", "unchecked", "intact", "good"]
    """unchecked: ssh-keygen is missing. intact: valid, but no allowed signers were named. good: of an allowed signer."""
    signer: str | None = None
    """Identity in the file of allowed signers, of a good signature."""
    key: str | None = None
    """SHA-256 of the key as ``ssh-keygen -l`` prints it, of an intact signature."""
    record: EvidenceRecord
    warnings: tuple[str, ...] = ()

    @property
    def vouched_by(self) -> str | None:
        """The signer, or the key in words; None if the record is unsigned or its signature was not checked."""
        return self.signer or (f"key {self.key}" if self.key else None)
