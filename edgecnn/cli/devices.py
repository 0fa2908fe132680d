"""`edgecnn devices` and `edgecnn doctor`: check this machine or a board, and write device files and latency tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli.asking import host_request
from edgecnn.cli.verbs import Call, family, verb
from edgecnn.errors.wording import shell_word

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from edgecnn.devices.check.board import ReachedBoard

NewArg = Annotated[str, typer.Argument(metavar="NAME", help="Name of the new device, for --target.")]
ForceOpt = Annotated[bool, typer.Option("--force", help="Overwrite your existing file.")]
NameArg = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A device or its file (default: identify the device).")]
TargetArg = Annotated[str, typer.Argument(metavar="NAME", help="A device or its file.")]
MinutesOpt = Annotated[
    float,
    typer.Option(
        "--minutes",
        min=1,
        max=600,
        help="Start no new batch of four networks after this time; a table needs three batches.",
    ),
]
TableOpt = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Table to write (default: devices/tables/NAME.json next to your device files)."),
]
FreshOpt = Annotated[bool, typer.Option("--fresh", help="Also repeat the measurements that are already in the table.")]
AnewOpt = Annotated[bool, typer.Option("--anew", hidden=True, help="The earlier name of --fresh.")]
NeedOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--need",
        metavar="NAME",
        help="Exit with 3 if this does not work: a runtime, extra, gpu, store, disk or device. Can be repeated.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    verb(app, "doctor", short="Check this machine and print how to fix what is missing.")(doctor)
    group = family(app, "devices", short="Check a machine, write its device file, or measure networks on it.")
    verb(group, "add", short="Write the device file of a machine.", takes=("host", "python"))(add)
    verb(group, "check", short="Check whether kits can run on a machine.", takes=("host", "python", "carry_wheels"))(check)
    verb(group, "measure", short="Time networks on a machine, for `edgecnn fit`.", takes=("host", "python"))(measure)
    verb(group, "emulate", short="Make the emulated 64-bit Arm machine.")(emulate)


def doctor(call: Call, need: NeedOpt = None) -> None:
    """Test everything that is installed, and print what is missing, what each part adds and how to install it."""
    from edgecnn.devices.doctor.examine import examine
    from edgecnn.errors.devices import needs_unmet
    from edgecnn.render.screens.machines import show_doctor

    report = examine(call.tell, need or [])
    call.show(report, lambda: show_doctor(report))
    unmet = [fact for fact in report.needs if not fact.met]
    if unmet:
        raise needs_unmet(
            unmet={fact.name: fact.because for fact in unmet},
            hints=[fact.hint for fact in unmet if fact.hint],
            away=all(fact.away for fact in unmet),
        )


def add(call: Call, name: NewArg, force: ForceOpt = False) -> None:
    """Write the device file of a machine into the folder of your own devices."""
    from edgecnn.devices.check.board import check_machine
    from edgecnn.devices.check.device_file import add_device, check_name
    from edgecnn.render.screens.machines import board_lines

    path = check_name(name, force)
    with _machine(call) as board:
        device = add_device(path, board, check_machine(board, None).findings)
        report = check_machine(board, device, path)
        call.show(report, board_lines(report))
    call.add([f"wrote {path}; `edgecnn plan --arch mobilenet-v3-small --target {name}` plans a build for it"])


def check(call: Call, name: NameArg = None) -> None:
    """Check whether kits can run on a machine (exit 3 if not) and whether its device file is right (exit 2 if not)."""
    from edgecnn.devices.check.board import carry_missing_packages, check_machine
    from edgecnn.devices.check.findings import needs_of, package_status, require_none, stopping_findings
    from edgecnn.devices.files import device_named, file_of, own_device
    from edgecnn.errors.devices import DEVICE_FILE_DISAGREES
    from edgecnn.render.screens.machines import board_lines
    from edgecnn.values.device import is_path

    device, file = None, None
    if name is not None:
        device = own_device(Path(name)) if is_path(name) else device_named(name)
        file = file_of(name, device)
    with _machine(call) as board:
        if call.options.carry_wheels:
            board = carry_missing_packages(board, package_status(board.facts, needs_of(device)), call.tell)
        report = check_machine(board, device, file)
    call.show(report, board_lines(report))
    if report.differences and report.device is not None:  # before anything missing, because bad input always comes first
        raise DEVICE_FILE_DISAGREES(device=report.device, board=report.board, differences=report.differences)
    require_none(report.board, stopping_findings(report.findings))


def measure(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    name: TargetArg,
    minutes: MinutesOpt = 15.0,
    out: TableOpt = None,
    fresh: FreshOpt = False,
    anew: AnewOpt = False,
) -> None:
    """Measure the latency table from which `edgecnn fit` predicts. An interrupted call resumes."""
    from edgecnn.devices.files import parse_target
    from edgecnn.fit.prices import own_table_file, require_writable, write_table
    from edgecnn.fit.timing import TableRequest, require_own_name, table_of
    from edgecnn.render.screens.fit import table_lines

    device, host = parse_target(name).device, host_request(call.options)
    if out is None:
        require_own_name(device, host)
    path = out or own_table_file(device.name)
    require_writable(path)
    table = table_of(TableRequest(device, host, minutes, fresh or anew), call.store, call.tell)
    write_table(table, path)
    call.show(table, table_lines(table))
    reads = f"`edgecnn fit --target {device.name}` reads it"
    call.add([f"wrote {path}; {reads if out is None else f'{reads} with --table {shell_word(out)}'}"])


def emulate(call: Call) -> None:
    """Make the emulated 64-bit Arm machine, which other verbs use as `--host emulated`."""
    from edgecnn.devices.emulated_machine import DEVICE as ARM
    from edgecnn.devices.emulated_machine import emulated_python

    python = emulated_python(call.tell)
    call.show({"device": ARM, "python": str(python)}, [str(python)])


def _machine(call: Call) -> AbstractContextManager[ReachedBoard]:
    from edgecnn.devices.check.board import machine_at

    return machine_at(host_request(call.options), call.tell)
