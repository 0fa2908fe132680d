"""`edgecnn devices`: look at a machine, near or far, and keep what it is as a device file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from edgecnn.devices.check.board import ReachedBoard
    from edgecnn.values.board import BoardCheck
    from edgecnn.values.device import Device

devices_app = typer.Typer(no_args_is_help=True, help="Look at a board, and write its device file.")


def register(app: typer.Typer) -> None:
    """Add the verb family."""
    app.add_typer(devices_app, name="devices")


@devices_app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new device, as --target will name it.")],
    host: opt.HostOpt = None,
    python: opt.PythonOpt = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file of yours.")] = False,
    as_json: opt.JsonOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    """Write the device file of a machine, from what it says of itself, into the folder of your own devices."""
    raise typer.Exit(guarded(lambda: _add(name, host, python, force, as_json), as_json=as_json, debug=debug))


@devices_app.command()
def check(  # noqa: PLR0913 - its flags
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A device or its file; without it, what it is.")] = None,
    host: opt.HostOpt = None,
    python: opt.PythonOpt = None,
    carry_wheels: opt.CarryWheelsOpt = False,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    """Say what stands in the way of kits on a machine, and where its device file is wrong. Exit 3: kits cannot run; 2: it is."""
    work = lambda: _check(name, (host, python), carry_wheels, quiet or as_json, as_json)  # noqa: E731 - as every verb
    raise typer.Exit(guarded(work, as_json=as_json, debug=debug))


@devices_app.command()
def emulate(quiet: opt.QuietOpt = False, as_json: opt.JsonOpt = False, debug: opt.DebugOpt = False) -> None:
    """Make the emulated 64-bit Arm machine, and say where its Python is; a kit's runner runs with it as on a board."""
    raise typer.Exit(guarded(lambda: _emulate(quiet or as_json, as_json), as_json=as_json, debug=debug))


def _add(name: str, host: str | None, python: str | None, force: bool, as_json: bool) -> ExitCode:
    from edgecnn.devices.check.board import checked
    from edgecnn.devices.check.device_file import add_device, check_name
    from edgecnn.render.terminal import show_lines

    path = check_name(name, force)
    with _machine(host, python) as seen:
        device = add_device(path, seen, checked(seen, None).findings)
        _show(checked(seen, device, path), as_json)
    if not as_json:
        show_lines([f"wrote {path}; `edgecnn plan --arch mobilenet-v3-small --target {name}` plans a build for it"])
    return ExitCode.OK


def _check(name: str | None, there: tuple[str | None, str | None], carry: bool, quiet: bool, as_json: bool) -> ExitCode:
    from edgecnn.devices.check.board import checked, with_packages
    from edgecnn.devices.check.needs import needs_of
    from edgecnn.errors.board import CarryWithoutHost
    from edgecnn.render.progress import progress_for

    device, file = (None, None) if name is None else _named(name)
    if carry and there[0] is None:
        raise CarryWithoutHost
    machine = _machine(*there)
    tell = progress_for(quiet=quiet)
    try:
        with machine as seen:
            found = checked(with_packages(seen, needs_of(device), tell) if carry else seen, device, file)
    finally:
        tell.close()
    _show(found, as_json)
    return _judged(found)


def _emulate(quiet: bool, as_json: bool) -> ExitCode:
    from edgecnn.hosts.emulated import DEVICE, emulated_machine
    from edgecnn.render.progress import progress_for
    from edgecnn.render.terminal import show_json, show_lines
    from edgecnn.store.store import default_root

    tell = progress_for(quiet=quiet)
    try:
        python = emulated_machine(default_root() / "machines" / DEVICE, tell) / "python3"
    finally:
        tell.close()
    if as_json:
        show_json({"device": DEVICE, "python": str(python)})
    else:
        show_lines([str(python)])
    return ExitCode.OK


def _machine(host: str | None, python: str | None) -> AbstractContextManager[ReachedBoard]:
    from edgecnn.cli.asking import host_asked
    from edgecnn.devices.check.board import machine_at

    asked = host_asked(host, python)
    return machine_at(None) if asked is None else machine_at(asked.address, asked.python)


def _named(name: str) -> tuple[Device, Path | None]:
    from pathlib import Path

    from edgecnn.devices.files import device_named, file_of, own_device
    from edgecnn.recipes.recipe import is_path

    device = own_device(Path(name)) if is_path(name) else device_named(name)
    return device, file_of(name, device)


def _show(found: BoardCheck, as_json: bool) -> None:
    from edgecnn.render.board import show_board
    from edgecnn.render.terminal import show_json

    if as_json:
        show_json(found.model_dump(mode="json", by_alias=True))
    else:
        show_board(found)


def _judged(found: BoardCheck) -> ExitCode:
    """What was found was shown; a wrong file comes before what is missing, as bad input does everywhere."""
    from edgecnn.devices.check.findings import stopping
    from edgecnn.errors.board import BoardNotReady
    from edgecnn.errors.devices import DeviceFileDisagrees

    if found.differences and found.device is not None:
        raise DeviceFileDisagrees(device=found.device, board=found.board, differences=found.differences)
    stops = stopping(found.findings)
    if stops:
        hints = [finding.remedy for finding in stops if finding.remedy is not None]
        raise BoardNotReady(board=found.board, whats=[finding.what for finding in stops], hints=hints)
    return ExitCode.OK
