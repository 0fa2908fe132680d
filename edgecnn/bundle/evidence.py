"""Records of evidence: measurements of reference networks on one machine and day, sealed, signed on request, and verified.

The digest reveals damage and careless edits. A forger can compute a new digest, so only a signature proves the origin.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, NoReturn

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError

from edgecnn.bundle.manifest import unique_keys
from edgecnn.bundle.ssh_keygen import EVIDENCE, SIGNATURE_BYTES_MAX, Signed, key_of, sign, signer_of
from edgecnn.errors.base import system_reason
from edgecnn.errors.bundle import SIGNATURE_REFUSED, SIGNERS_NOT_NAMED, SshKeygenMissing
from edgecnn.errors.measuring import EVIDENCE_CHANGED, EVIDENCE_UNREADABLE, EVIDENCE_UNSIGNED
from edgecnn.errors.store import UnstableValue
from edgecnn.errors.usage import RESULT_FILE_UNWRITABLE
from edgecnn.errors.wording import first_problem
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import refuse_known_cause, write_text_atomically
from edgecnn.values.base import Value, another_schema
from edgecnn.values.candidate import Candidate
from edgecnn.values.figures import Throughput
from edgecnn.values.layers import Residency
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.profile import Environment, observed_moment
from edgecnn.values.report import PERCENTILES, Latency, percentile_name, sealed_digest
from edgecnn.values.stage import canonical_json
from edgecnn.values.verdict import Fidelity

_SHA256 = "^[0-9a-f]{64}$"
_PATH = re.compile(r"~?(?:/[^\s:/'\"`]+)+/([^\s:/'\"`]+)")
_QUOTED_PATH = re.compile(r"(['\"`])~?/(?:[^'\"`]*/)?([^'\"`/]+)\1")
EVIDENCE_BYTES_MAX: Final = 4 << 20
"""Largest record. A record of six networks with five kits each has a twentieth of this size."""
UNSIGNED: Final = "the record is not signed, so its figures may have been changed; write it with `edgecnn evidence --sign KEY`"
_WARNINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "none": (UNSIGNED,),
    "unchecked": ("its signature was not checked, because ssh-keygen is not installed",),
    "intact": ("its signer is unknown; pass --allowed-signers FILE to check the signer",),
    "good": (),
}


def redact_paths(text: str, board: str | None = None) -> str:
    """Shorten each path to its last name, and replace a board's address by "the board".

    Records are published, and a folder may have a person's name.

    ``board``: the address, with which errors of a board begin. Inside a longer word it is not replaced.
    """
    text = text.replace(f"{os.environ.get('HOME') or '~'}/", "~/")  # its spaces are known to belong to a path
    text = _PATH.sub(r"…/\1", _QUOTED_PATH.sub(r"\1…/\2\1", text))
    if board is None:
        return text
    word = rf"(?<![\w-]){re.escape(board)}"
    return re.sub(rf"{word}(?![\w-])", "the board", re.sub(f"{word}: ", "", text))


def anonymize_machine(environment: Environment, secret: bytes) -> Environment:
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
    """Description, such as ``ImageNet-1k weights (ResNet18_Weights.IMAGENET1K_V1)``."""
    sha256: str | None = None
    """SHA-256 of the published file; None for seeded weights, which the kit's digest and edgecnn's version identify."""
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
    """Conditions of the runs, and observations over all runs."""
    throughput: Throughput | None = Field(default=None, exclude_if=lambda throughput: throughput is None)
    """Throughput of a GPU at the kit's largest batch size."""


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


@dataclass(frozen=True)
class EvidenceTrust:
    """Requirements on a record in addition to its digest."""

    signers: Path | None = None
    """File of allowed signers; with one, an unsigned record is refused."""
    identity: str | None = None
    """Required signer; None: anyone in that file."""

    def __post_init__(self) -> None:
        """Raises SIGNERS_NOT_NAMED: an identity without a file of signers."""
        if self.identity is not None and self.signers is None:
            raise SIGNERS_NOT_NAMED(option="--identity")


class ReadEvidence(NamedTuple):
    """A record with a valid digest, and its signed bytes."""

    record: EvidenceRecord
    content: bytes


def seal(record: EvidenceRecord, key: Path | None) -> EvidenceRecord:
    """Return the record with its digest and, with ``key``, a signature.

    Raises SshKeygenMissing, KEY_UNUSABLE: it cannot be signed.
    """
    written = _drop_signature(record.model_dump(mode="json", by_alias=True))
    written["sha256"] = sealed_digest(written)
    signature = None if key is None else sign(_signed_bytes(written), key, EVIDENCE)
    return record.model_copy(update={"sha256": written["sha256"], "signature": signature})


def write_evidence(record: EvidenceRecord, path: Path) -> None:
    """Write a record, complete or not at all. Raises RESULT_FILE_UNWRITABLE."""
    try:
        write_text_atomically(path, record.model_dump_json(indent=1, by_alias=True) + "\n")
    except (OSError, ValueError) as error:  # a NUL inside the path
        raise RESULT_FILE_UNWRITABLE(option="--out", path=path, because=system_reason(error)) from error


def require_record_file(path: Path) -> None:
    """Refuse, before any measurement, a path that cannot be written or holds another file.

    Raises RESULT_FILE_UNWRITABLE.
    """
    try:
        because = _output_fault(path)
    except (OSError, ValueError) as error:  # a NUL inside the path
        because = system_reason(error)
    if because is not None:
        raise RESULT_FILE_UNWRITABLE(option="--out", path=path, because=because)


def _output_fault(path: Path) -> str | None:
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir():
        return "it is a folder" if path.is_dir() else "its folder does not exist"
    if not os.access(folder, os.W_OK):
        return "its folder may not be written"
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return None if b'"edgecnn.evidence/' in stream.read(256) else "it exists, and is not a record of evidence"


def read_evidence(path: Path) -> ReadEvidence:
    """Read a record. Raises EVIDENCE_UNREADABLE, EVIDENCE_CHANGED: see ``parse_evidence``."""
    return parse_evidence(path, record_content(path))


def parse_evidence(path: Path, content: bytes) -> ReadEvidence:
    """Parse a record and check its digest, not its signature. ``path``: its name in errors.

    Raises EVIDENCE_UNREADABLE: not a record, another schema, or contradictory figures. EVIDENCE_CHANGED: the digest does not
    match.
    """
    try:
        written = json.loads(content.decode("utf-8"), object_pairs_hook=unique_keys, parse_constant=_refuse_constant)
        if (fault := another_schema(written, EvidenceRecord.model_fields["schema_"].default)) is not None:
            raise EVIDENCE_UNREADABLE(path=path, because=fault)
        record = EvidenceRecord.model_validate_json(content, strict=True)
        digest, signed = sealed_digest(_drop_signature(written)), _signed_bytes(_drop_signature(written))
    except ValidationError as error:
        raise EVIDENCE_UNREADABLE(path=path, because=first_problem(error)[:300]) from error
    except UnstableValue as error:
        raise EVIDENCE_UNREADABLE(path=path, because="one of its figures is not a finite number") from error
    except (ValueError, RecursionError) as error:
        raise EVIDENCE_UNREADABLE(path=path, because=f"it is not valid JSON ({type(error).__name__})") from error
    if record.sha256 != digest:
        raise EVIDENCE_CHANGED(path=path)
    if (contradiction := next(_contradictions(record), None)) is not None:
        raise EVIDENCE_UNREADABLE(path=path, because=contradiction)
    return ReadEvidence(record, signed)


def verify_evidence(path: Path, trust: EvidenceTrust) -> EvidenceVerification:
    """Verify a record, its digest first and its signature last.

    Raises:
        EVIDENCE_UNREADABLE, EVIDENCE_CHANGED: see ``read_evidence``.
        EVIDENCE_UNSIGNED: a signer is required, and the record is unsigned.
        SIGNATURE_REFUSED: the signature is of other bytes, another namespace, or another signer.
        SshKeygenMissing, SIGNERS_UNREADABLE: the signature cannot be checked.
    """
    return verify_signature(path, read_evidence(path), trust)


def verify_signature(path: Path, evidence: ReadEvidence, trust: EvidenceTrust) -> EvidenceVerification:
    """Verify the signature of a record that was read. Raises as ``verify_evidence``."""
    signature, vouched = _signature_state(path, evidence, trust)
    return EvidenceVerification(
        path=str(path), signature=signature, record=evidence.record, warnings=_WARNINGS[signature], **vouched
    )


def record_content(path: Path) -> bytes:
    """Read the bytes of a record. Raises EVIDENCE_UNREADABLE: there is no file, no permission, or the file is too long."""
    try:
        content = bounded_content(path, EVIDENCE_BYTES_MAX)
    except OSError as error:
        raise EVIDENCE_UNREADABLE(path=path, because=system_reason(error)) from error
    refuse_known_cause(path, content)
    return content


def _signature_state(
    path: Path, evidence: ReadEvidence, trust: EvidenceTrust
) -> tuple[Literal["none", "unchecked", "intact", "good"], Mapping[str, str]]:
    signature = None if evidence.record.signature is None else evidence.record.signature.encode("utf-8")
    if signature is None:
        if trust.signers is not None:
            raise EVIDENCE_UNSIGNED(path=path)
        return "none", {}
    if len(signature) > SIGNATURE_BYTES_MAX:
        raise SIGNATURE_REFUSED(path=path, because=f"it is longer than {SIGNATURE_BYTES_MAX:,} bytes")
    signed = Signed(evidence.content, signature, EVIDENCE)
    if trust.signers is not None:
        return "good", {"signer": signer_of(path, signed, trust.signers, trust.identity)}
    try:
        return "intact", {"key": key_of(path, signed)}
    except SshKeygenMissing:
        return "unchecked", {}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _drop_signature(written: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in written.items() if name != "signature"}


def _signed_bytes(written: Mapping[str, Any]) -> bytes:
    return canonical_json(written).encode("ascii")


def _contradictions(record: EvidenceRecord) -> Iterator[str]:
    """Yield contradictions that no measurement leaves: a file with a valid digest may still be made by hand."""
    yield from _date_faults("measured_at", record.measured_at)
    for network in record.networks:
        for kit in network.kits:
            name = f"{kit.candidate.id} of {network.arch}"
            if kit.environment.fidelity is not record.environment.fidelity:
                yield f"{name} and its machine disagree about emulation"
            if kit.latency.fidelity not in (kit.environment.fidelity, Fidelity.MISSING):
                yield f"{name} is called {kit.latency.fidelity.value}, but its environment is {kit.environment.fidelity.value}"
            yield from (f"{name}: {fault}" for fault in _figure_faults(kit))


def _date_faults(name: str, text: str) -> Iterator[str]:
    try:
        observed_moment(text)
    except ValueError as error:
        yield f"{name} {error}"


def _figure_faults(kit: EvidenceKit) -> Iterator[str]:
    for figure in map(percentile_name, PERCENTILES):
        interval = getattr(kit.latency, figure)
        if interval is not None and not 0 < interval.low <= interval.estimate <= interval.high:
            yield f"{figure} is not inside its interval"
    yield from _date_faults("observed_at", kit.latency.observed_at)
