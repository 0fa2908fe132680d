"""What a machine did with reference networks on one day, as a file that can be sent: what it holds, what checking it found."""

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
    """The same with each path cut to its last name, and without a board's address: a record is sent to others, and the name of
    a folder may be a person's.

    ``board``: its address, as failures there begin with it; a short one may be part of another word, which stays.
    """
    text = text.replace(f"{os.environ.get('HOME') or '~'}/", "~/")  # the one whose spaces are known to be a path's
    text = _PATH.sub(r"…/\1", _QUOTED_PATH.sub(r"\1…/\2\1", text))
    if board is None:
        return text
    word = rf"(?<![\w-]){re.escape(board)}"
    return re.sub(rf"{word}(?![\w-])", "the board", re.sub(f"{word}: ", "", text))


def renamed(environment: Environment, secret: bytes) -> Environment:
    """The same with the machine's digest replaced by one keyed (HMAC-SHA-256) with a secret: few serial numbers and usual host
    names could be tried until a plain digest is hit. With one secret, a machine keeps one name from record to record.
    """
    machine = environment.conditions.get("machine")
    if machine is None:
        return environment
    name = hmac.new(secret, machine.encode("utf-8"), hashlib.sha256).hexdigest()[:16]
    return environment.model_copy(update={"conditions": {**environment.conditions, "machine": name}})


class EvidenceWeights(Value):
    """What a network was timed with. Latency does not depend on it."""

    origin: Literal["published", "seeded"]
    """seeded: drawn from a fixed seed, and learned nothing; never called pretrained."""
    what: str
    """In words, such as ``ImageNet-1k weights (ResNet18_Weights.IMAGENET1K_V1)``."""
    sha256: str | None = None
    """Of the published file; None of seeded ones, which the kit's digest and edgecnn's version tell from others."""
    licence: str | None = None


class EvidenceKit(Value):
    """One kit that ran."""

    candidate: Candidate
    kit: str = Field(pattern=_SHA256)
    """sha256 of the kit's manifest, which holds the sha256 of every file in the kit."""
    runtime_version: str
    size_mib: PositiveFloat
    """Of the model's own files."""
    latency: Latency
    residency: Residency | None
    """In which precision it really ran, without the list of layers; None where no trace could be read."""
    environment: Environment
    """Of its runs: conditions, and what was observed over all of them."""
    throughput: Throughput | None = Field(default=None, exclude_if=lambda throughput: throughput is None)
    """Of a GPU: with the most images that the kit takes in a call."""


class EvidenceNetwork(Value):
    """One reference network, its kits raced against each other."""

    arch: str
    resolution_px: Resolution
    classes: PositiveInt
    parameters: PositiveInt
    macs: PositiveInt
    """Multiply-adds for one image."""
    weights: EvidenceWeights
    kits: tuple[EvidenceKit, ...]
    failed: Mapping[str, str] = {}
    """Candidate to why there are no figures of it."""


class EvidenceRecord(Value):
    """A file of ``edgecnn evidence``, schema edgecnn.evidence/1. It says nothing of accuracy: no network was evaluated."""

    schema_: Literal["edgecnn.evidence/1"] = Field(default="edgecnn.evidence/1", alias="schema")
    version: str
    """Of edgecnn."""
    device: str
    """The device file's name."""
    device_title: str
    device_sha256: str = Field(pattern=_SHA256)
    """Of the device file."""
    machine: str
    """The concrete machine, for people."""
    environment: Environment
    """The machine's, without the conditions that only a kit decides."""
    measured_at: str
    """When the oldest of the figures was observed."""
    minutes: PositiveFloat
    """That measuring was allowed."""
    seconds: NonNegativeFloat
    """That it took; what was stored already took none."""
    networks: tuple[EvidenceNetwork, ...] = Field(min_length=1)
    left_out: Mapping[str, str] = {}
    """Network, or candidate of all of them, to why it is not there."""
    warnings: tuple[str, ...] = ()
    """What was found on the machine beforehand that spoils figures, a sentence each."""
    sha256: str = ""
    """Of the canonical JSON of everything but this and the signature: an edited file is refused."""
    signature: str | None = None
    """An SSHSIG over the canonical JSON of everything but itself; None: unsigned."""


class EvidenceVerification(Value):
    """``edgecnn evidence verify FILE --json``, schema edgecnn.evidence-verification/1. There is none of what was refused."""

    schema_: Literal["edgecnn.evidence-verification/1"] = Field(default="edgecnn.evidence-verification/1", alias="schema")
    path: str
    signature: Literal["none", "unchecked", "intact", "good"]
    """unchecked: there is no ssh-keygen. intact: of that key, and nobody said whose it is. good: of an allowed signer."""
    signer: str | None = None
    """The identity in the file of allowed signers, of a good signature."""
    key: str | None = None
    """The key's SHA-256, as ``ssh-keygen -l`` prints it, of an intact signature."""
    record: EvidenceRecord
    warnings: tuple[str, ...] = ()

    @property
    def vouched_by(self) -> str | None:
        """The signer, else the key, in words; None of a file that is not signed, or whose signature could not be looked at."""
        return self.signer or (f"key {self.key}" if self.key else None)
