"""`edgecnn evidence`: measure reference networks for a record that a user can send, and verify records."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli.asking import host_request, refuse_unusable_texts
from edgecnn.cli.options import BOARD
from edgecnn.cli.verbs import Call, family, group_action, verb
from edgecnn.errors.usage import MISSING_ARGUMENT
from edgecnn.errors.wording import shell_word


class Variants(StrEnum):
    """Values of a recipe's ``desktop.variants``."""

    REFERENCE = "reference"
    USUAL = "usual"
    ALL = "all"


TargetOpt = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="DEVICE[:RUNTIME|:all]",
        help="Device to measure: one listed by `edgecnn list devices`, or a device file.",
    ),
]
MinutesOpt = Annotated[
    float,
    typer.Option(
        "--minutes",
        min=1,
        max=600,
        help="Time limit for measuring, without making kits; networks that would exceed it are skipped.",
    ),
]
RecordOpt = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Record to write (default: evidence-DEVICE-DATE.json).")
]
VariantsOpt = Annotated[
    Variants,
    typer.Option("--variants", help="How to run networks in torch on a GPU, in addition to eager fp32."),
]
SignOpt = Annotated[
    Path | None,
    typer.Option(
        "--sign", metavar="KEY", help="Sign the record with an OpenSSH private key, or the .pub file of a key in the agent."
    ),
]
FileArg = Annotated[Path, typer.Argument(metavar="FILE", help="A record from `edgecnn evidence`.")]
SignersOpt = Annotated[
    Path | None,
    typer.Option(
        "--allowed-signers",
        metavar="FILE",
        help="File of trusted signers (see `man ssh-keygen`); unsigned records are refused.",
    ),
]
IdentityOpt = Annotated[
    str | None, typer.Option("--identity", metavar="NAME", help="Required signer (default: anyone listed in --allowed-signers).")
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    short = "Measure reference networks on a board; write a record to send."
    group = family(app, "evidence", short=short)
    group_action(group, "evidence", short=short, takes=(BOARD,))(evidence)
    verb(group, "verify", short="Verify a record, and print what it claims.")(verify)


def evidence(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    target: TargetOpt = None,
    minutes: MinutesOpt = 30.0,
    variants: VariantsOpt = Variants.USUAL,
    out: RecordOpt = None,
    sign: SignOpt = None,
) -> None:
    """Measure six reference networks on a board or on this machine, and write a record that you can send.

    Nothing is trained, and no accuracy is measured. The networks have published weights if available, or else random weights
    from a fixed seed. An interrupted call resumes.
    """
    from edgecnn.bench.evidence import EvidenceRequest, evidence_of
    from edgecnn.bundle.evidence import require_record_file, seal, write_evidence
    from edgecnn.bundle.ssh_keygen import check_key
    from edgecnn.devices.files import file_of, parse_target
    from edgecnn.render.screens.bundle import record_lines

    if target is None:
        raise MISSING_ARGUMENT(command="edgecnn evidence", name="--target", meaning="the device to measure, such as cpu")
    refuse_unusable_texts(replace(call.options, target=target))
    device, runtime = parse_target(target)
    host = host_request(call.options)
    path = out or Path(f"evidence-{device.name}-{datetime.now(UTC):%Y-%m-%d}.json")
    require_record_file(path)
    if sign is not None:
        check_key(sign)
    record = evidence_of(
        EvidenceRequest(device, file_of(target, device), runtime, host, minutes, variants.value), call.store, call.tell
    )
    record = seal(record, sign)
    write_evidence(record, path)
    call.show(record, record_lines(record))
    call.add([f"wrote {path}, {'signed' if sign else 'unsigned'}; `edgecnn evidence verify {shell_word(path)}` checks it"])


def verify(call: Call, file: FileArg, signers: SignersOpt = None, identity: IdentityOpt = None) -> None:
    """Check the digest and signature of a record, and print what it claims."""
    from edgecnn.bundle.evidence import EvidenceTrust, verify_evidence
    from edgecnn.render.screens.bundle import evidence_lines, warning_lines

    verification = verify_evidence(file, EvidenceTrust(signers, identity))
    call.warn(warning_lines(verification.warnings))
    call.show(verification, evidence_lines(verification))
