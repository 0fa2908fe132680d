"""Make requests from options. Named options win over ``--set``, which wins over the recipe file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgecnn.cli.options import OF_THE_CALL, TRUST, AsSet, BuildOptions, InRecipe, InRequest, given_options, row

if TYPE_CHECKING:
    from edgecnn.bundle.verify import Trust
    from edgecnn.judging.gates import StoredRace
    from edgecnn.planning.request import BuildRequest, Goal
    from edgecnn.runner.pixel_recipe import ImageSize
    from edgecnn.values.board import HostRequest
    from edgecnn.values.command import Command
    from edgecnn.values.recipe import GateChoice, Recipe


def stated_size(resolution: str, command: str) -> ImageSize:
    """Parse the value of ``--resolution``. Raises USAGE: it is not a size."""
    from edgecnn.errors.usage import USAGE
    from edgecnn.runner.pixel_recipe import ImageSize

    try:
        return ImageSize.of(resolution)
    except ValueError as error:
        raise USAGE(command=command, reason=f"--resolution {error}") from error


def request_from(options: BuildOptions, goal: Goal) -> BuildRequest:
    """Return the build request that the options describe.

    Raises:
        EdgecnnError: an empty text, or an unknown network, target, key or metric. The error names the nearest known one.
    """
    from edgecnn.devices.files import settle_target
    from edgecnn.planning.custom_model import network_name
    from edgecnn.planning.request import BuildRequest

    refuse_unusable_texts(options)
    recipe = _recipe(options)
    name = network_name(recipe.model)
    aimed, device, file = settle_target(recipe, options.target)
    return BuildRequest.model_validate(
        {
            "recipe": aimed,
            "device": device,
            "device_file": file,
            "out": Path(f"builds/{name}-{device.name}"),
            "goal": goal,
            **measuring_fields(options),
            **_request_fields(options),
            "host": host_request(options),
            "command": command_of(options),
        }
    )


def bounds_of(options: BuildOptions) -> GateChoice:
    """Return the gates of a call. Raises EdgecnnError: see ``parse_bounds``."""
    from edgecnn.judging.gates import parse_bounds

    return parse_bounds(options.at_most, options.at_least, require_measured=options.require_measured)


def stored_race_of(options: BuildOptions) -> StoredRace:
    """Return whether a verb that judges a finished build accepts a stored race."""
    return "fresh-enough" if options.allow_stored else "unless-gated"


def measuring_fields(options: BuildOptions) -> dict[str, Any]:
    """Return the request fields that say how a build is measured and judged."""
    from edgecnn.planning.request import parse_extra_runs

    fields = _request_fields(options)
    return {
        "gates": bounds_of(options),
        "extra_runs": parse_extra_runs(options.batches, end_to_end=options.end_to_end, soak=options.soak),
        **{name: fields.get(name) for name in ("meter", "until")},
    }


def _request_fields(options: BuildOptions) -> dict[str, Any]:
    entries = ((option.enters, value) for option, value in given_options(options))
    return {enters.name: _read(enters, value) for enters, value in entries if isinstance(enters, InRequest)}


def _read(enters: InRecipe | InRequest, value: Any) -> Any:
    return value if enters.read is None else enters.read(value)


def host_request(options: BuildOptions) -> HostRequest | None:
    """Return the board that a call names, after a check of its address.

    Raises:
        BadAddress: the address has no destination.
        HOST_OPTION_WITHOUT_HOST, CARRY_WITHOUT_HOST: an option for a board, but no board.
    """
    from edgecnn.errors.hosts import CARRY_WITHOUT_HOST
    from edgecnn.errors.usage import HOST_OPTION_WITHOUT_HOST
    from edgecnn.hosts.ssh.link import Address
    from edgecnn.values.board import EMULATED, HostRequest

    if options.host in (None, EMULATED):
        if options.carry_wheels:
            raise CARRY_WITHOUT_HOST()
        for option, is_given in (("--python", options.python is not None), ("--clean", options.clean)):
            if is_given:
                raise HOST_OPTION_WITHOUT_HOST(option=option)
    if options.host is None:
        return None
    address = Address.of(options.host).destination
    return HostRequest(address=address, python=options.python, clean=options.clean, carry_wheels=options.carry_wheels)


@dataclass(frozen=True)
class TrustOptions(BuildOptions):
    """The options of a call that decide whether a bundle is trusted, in addition to those of ``BuildOptions``."""

    signers: Path | None = row(
        TRUST, "--allowed-signers", enters=OF_THE_CALL, metavar="FILE",
        help="File of trusted signers (see `man ssh-keygen`); unsigned bundles are refused.",
    )  # fmt: skip
    identity: str | None = row(
        TRUST,
        "--identity",
        enters=OF_THE_CALL,
        metavar="NAME",
        help="Required signer (default: anyone listed in --allowed-signers).",
    )
    require_signature: bool = row(
        TRUST, "--require-signature", enters=OF_THE_CALL, default=False, help="Refuse a bundle without a valid signature."
    )
    remember: Path | None = row(
        TRUST, "--remember", enters=OF_THE_CALL, metavar="FOLDER",
        help="Record the accepted version in this folder, and refuse older versions.",
    )  # fmt: skip
    made_here: bool = row(
        TRUST, "--made-here", enters=OF_THE_CALL, default=False,
        help="Ignore files that this machine added to the bundle by using it: runs, engines, byte code.",
    )  # fmt: skip


def trust_of(options: BuildOptions) -> Trust:
    """Return the checks that a bundle must pass before any of its files is opened. ``options`` is a ``TrustOptions``."""
    from edgecnn.bundle.verify import Trust

    options = cast("TrustOptions", options)
    return Trust(options.made_here, options.signers, options.identity, options.require_signature, options.remember)


def device_as_written(options: BuildOptions, request: BuildRequest) -> str:
    """Return the path of the user's own device file, or the name of a shipped device."""
    from edgecnn.values.device import is_path, split_target

    written = split_target(options.target or _recipe(options).target.device)[0]
    return written if is_path(written) else request.device.name


def refuse_unusable_texts(options: BuildOptions) -> None:
    """Refuse an empty text, such as an unset shell variable, and text that is not valid UTF-8."""
    from edgecnn.errors.recipes import EMPTY_OPTION, option_not_unicode

    for option, value in given_options(options):
        for text in _option_texts(value) if option.enters != OF_THE_CALL else ():
            if not text.strip():
                raise EMPTY_OPTION(option=option.word)
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise option_not_unicode(option=option.word, value=text)


def _option_texts(value: Any) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else () if value is True else (str(value),)


def recipe_of(options: BuildOptions) -> Recipe:
    """Return the recipe that the options describe. Raises EdgecnnError: see ``request_from``."""
    refuse_unusable_texts(options)
    return _recipe(options)


def _recipe(options: BuildOptions) -> Recipe:
    from edgecnn.planning.recipe import apply_overrides, load_recipe
    from edgecnn.values.recipe import Recipe

    entries = [(option.enters, value) for option, value in given_options(options)]
    as_set = [f"{enters.key}={json.dumps(value, ensure_ascii=False)}" for enters, value in entries if isinstance(enters, AsSet)]
    recipe = apply_overrides(load_recipe(options.recipe) if options.recipe else Recipe(), [*options.overrides, *as_set])
    for enters, value in entries:
        if isinstance(enters, InRecipe):
            table, _, key = enters.key.partition(".")
            changed = getattr(recipe, table).model_copy(update={key: _read(enters, value)})
            recipe = recipe.model_copy(update={table: changed})
    return recipe


def stated_by_options(options: BuildOptions) -> dict[str, str]:
    """Return the name of the option that states a recipe key, by key."""
    in_recipe = ((option.enters, option.word) for option, _ in given_options(options))
    stated = {enters.key: word for enters, word in in_recipe if isinstance(enters, InRecipe | AsSet)}
    if options.target is not None:
        stated["target.device"] = "--target"
        if ":" in options.target:
            stated["target.runtime"] = "--target"
    return stated


def command_of(options: BuildOptions) -> Command:
    """Return the command that repeats this call."""
    from edgecnn.values.command import Command

    parts = list[tuple[str, ...]]()
    for option, value in given_options(options):
        if option.enters != OF_THE_CALL:
            parts += [(option.word,)] if value is True else [(*option.names[:1], text) for text in _option_texts(value)]
    return Command(verb=tuple(options.verb.split()), parts=tuple(parts))
