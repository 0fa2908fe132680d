"""`edgecnn evidence`: reference networks measured on a machine, in a record that can be sent, and such a record checked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli.asking import host_request, refuse_unusable_texts
from edgecnn.cli.option_table import BOARD
from edgecnn.cli.verbs import DEVICE, Call, family, leading, verb
from edgecnn.errors.usage import MissingArgument
from edgecnn.errors.wording import shell_word


class Variants(StrEnum):
    """As in a recipe's ``desktop.variants``."""

    REFERENCE = "reference"
    USUAL = "usual"
    ALL = "all"


TargetOpt = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="DEVICE[:RUNTIME|:all]", help="What is measured, as in `edgecnn list devices`, or a device file."
    ),
]
MinutesOpt = Annotated[
    float,
    typer.Option(
        "--minutes",
        min=1,
        max=600,
        help="Of measuring six networks; those that do not fit are named and left out. Making kits comes on top.",
    ),
]
RecordOpt = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="The record; default evidence-DEVICE-DATE.json, here.")
]
VariantsOpt = Annotated[
    Variants,
    typer.Option("--variants", help="Of a GPU: the ways in which torch runs a network beside eager fp32."),
]
SignOpt = Annotated[
    Path | None,
    typer.Option("--sign", metavar="KEY", help="Sign it with a private key of OpenSSH, or the .pub of one in the agent."),
]
FileArg = Annotated[Path, typer.Argument(metavar="FILE", help="What `edgecnn evidence` wrote.")]
SignersOpt = Annotated[
    Path | None,
    typer.Option(
        "--allowed-signers",
        metavar="FILE",
        help="File of trusted signers (`man ssh-keygen`); an unsigned record is then refused.",
    ),
]
IdentityOpt = Annotated[
    str | None, typer.Option("--identity", metavar="NAME", help="The signer it must be; default anybody in that file.")
]


def register(app: typer.Typer) -> None:
    """Add the verb, and the one below it."""
    short = "Measure reference networks on a board, for a record to send."
    of_evidence = family(app, "evidence", short=short, panel=DEVICE)
    leading(of_evidence, "evidence", short=short, takes=(BOARD,))(evidence)
    verb(of_evidence, "verify", short="Check such a record, and say what it claims.")(verify)


def evidence(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    target: TargetOpt = None,
    minutes: MinutesOpt = 30.0,
    variants: VariantsOpt = Variants.USUAL,
    out: RecordOpt = None,
    sign: SignOpt = None,
) -> None:
    """Measure six reference networks on a board or here, and write one record that can be sent.

    Nothing is trained: published weights are used where they can be had, else seeded ones, and no accuracy is stated. An
    interrupted call goes on where it was.
    """
    from edgecnn.bench.evidence import evidence_of
    from edgecnn.bench.reference_networks import EvidenceRequest
    from edgecnn.bundle.evidence_file import require_record_file, sealed, write_evidence
    from edgecnn.bundle.ssh_keygen import check_key
    from edgecnn.devices.files import file_of, parse_target
    from edgecnn.render.screens.evidence import record_lines

    if target is None:
        raise MissingArgument(command="edgecnn evidence", name="--target", meaning="the device that is measured, such as cpu")
    refuse_unusable_texts(replace(call.asked, target=target))
    device, runtime = parse_target(target)
    host = host_request(call.asked)
    path = out or Path(f"evidence-{device.name}-{datetime.now(UTC):%Y-%m-%d}.json")
    require_record_file(path)
    if sign is not None:
        check_key(sign)
    record = evidence_of(
        EvidenceRequest(device, file_of(target, device), runtime, host, minutes, variants.value), call.store, call.tell
    )
    record = sealed(record, sign)
    write_evidence(record, path)
    call.show(record, record_lines(record))
    call.add([f"wrote {path}, {'signed' if sign else 'unsigned'}; `edgecnn evidence verify {shell_word(path)}` checks it"])


def verify(call: Call, file: FileArg, signers: SignersOpt = None, identity: IdentityOpt = None) -> None:
    """Check a record against its digest and its signature, and say in plain words what it claims."""
    from edgecnn.bundle.evidence_file import EvidenceTrust, verify_evidence
    from edgecnn.render.screens.bundle import warning_lines
    from edgecnn.render.screens.evidence import verification_lines

    found = verify_evidence(file, EvidenceTrust(signers, identity))
    call.warn(warning_lines(found.warnings))
    call.show(found, verification_lines(found))
