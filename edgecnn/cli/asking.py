"""From options to a request: recipe file, then --set, then the named options, each winning over the one before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgecnn.cli.options import OF_THE_CALL, TRUST, AsSet, BuildOptions, InRecipe, InRequest, given_in, row

if TYPE_CHECKING:
    from edgecnn.bundle.verify import Trust
    from edgecnn.judging.gates import StoredRace
    from edgecnn.planning.request import BuildRequest, Goal
    from edgecnn.values.board import HostRequest
    from edgecnn.values.command import Command
    from edgecnn.values.recipe import GateChoice, Recipe


def request_from(asked: BuildOptions, goal: Goal) -> BuildRequest:
    """Everything the options say, as one value.

    Raises:
        EdgecnnError: an unknown network, target, key or metric, each with the nearest right one; a text that names nothing.
    """
    from edgecnn.devices.files import on_device
    from edgecnn.planning.custom_model import network_name
    from edgecnn.planning.request import BuildRequest

    refuse_unusable_texts(asked)
    recipe = _recipe(asked)
    name = network_name(recipe.model)
    aimed, device, file = on_device(recipe, asked.target)
    return BuildRequest.model_validate(
        {
            "recipe": aimed,
            "device": device,
            "device_file": file,
            "out": Path(f"builds/{name}-{device.name}"),
            "goal": goal,
            **measured_as(asked),
            **_fields(asked),
            "host": host_request(asked),
            "command": command_of(asked),
        }
    )


def bounds_of(asked: BuildOptions) -> GateChoice:
    """The bounds of a call. Raises EdgecnnError: see ``parse_bounds``."""
    from edgecnn.judging.gates import parse_bounds

    return parse_bounds(asked.at_most, asked.at_least, require_measured=asked.require_measured)


def stored_race_of(asked: BuildOptions) -> StoredRace:
    """Whether a verb that judges a finished build takes a stored race."""
    return "fresh-enough" if asked.allow_stored else "unless-gated"


def measured_as(asked: BuildOptions) -> dict[str, Any]:
    """How a build is measured and judged, as the fields that every request which does so has."""
    from edgecnn.planning.request import extra_runs_of

    simple = _fields(asked)
    return {
        "gates": bounds_of(asked),
        "extra_runs": extra_runs_of(asked.batches, end_to_end=asked.end_to_end, soak=asked.soak),
        **{name: simple.get(name) for name in ("meter", "until")},
    }


def _fields(asked: BuildOptions) -> dict[str, Any]:
    return {each.enters.name: _read(each.enters, value) for each, value in given_in(asked) if isinstance(each.enters, InRequest)}


def _read(enters: InRecipe | InRequest, value: Any) -> Any:
    return value if enters.read is None else enters.read(value)


def host_request(asked: BuildOptions) -> HostRequest | None:
    """The board that a call names, its address checked before anything is done.

    Raises:
        BadAddress: no destination.
        HOST_OPTION_WITHOUT_HOST, CARRY_WITHOUT_HOST: how to use a board, and no board.
    """
    from edgecnn.errors.hosts.board import CARRY_WITHOUT_HOST
    from edgecnn.errors.usage import HOST_OPTION_WITHOUT_HOST
    from edgecnn.hosts.ssh.link import Address
    from edgecnn.values.board import EMULATED, HostRequest

    if asked.host in (None, EMULATED):
        if asked.carry_wheels:
            raise CARRY_WITHOUT_HOST()
        for option, given in (("--python", asked.python is not None), ("--clean", asked.clean)):
            if given:
                raise HOST_OPTION_WITHOUT_HOST(option=option)
    if asked.host is None:
        return None
    address = Address.of(asked.host).destination
    return HostRequest(address=address, python=asked.python, clean=asked.clean, carry_wheels=asked.carry_wheels)


@dataclass(frozen=True)
class TrustOptions(BuildOptions):
    """With the options by which a bundle is trusted."""

    signers: Path | None = row(
        TRUST, "--allowed-signers", enters=OF_THE_CALL, metavar="FILE",
        help="File of trusted signers (`man ssh-keygen`); an unsigned bundle is refused.",
    )  # fmt: skip
    identity: str | None = row(
        TRUST,
        "--identity",
        enters=OF_THE_CALL,
        metavar="NAME",
        help="Required signer (default: anyone in that file).",
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
        help="Ignore what using the bundle on this machine added to its folder: runs, engines, byte code.",
    )  # fmt: skip


def trust_of(asked: BuildOptions) -> Trust:
    """What is asked of a bundle before anything in it is opened; ``asked`` is of the table above."""
    from edgecnn.bundle.verify import Trust

    asked = cast("TrustOptions", asked)
    return Trust(asked.made_here, asked.signers, asked.identity, asked.require_signature, asked.remember)


def device_as_written(asked: BuildOptions, request: BuildRequest) -> str:
    """The path of a user's own device file, by which alone it is found again; of a shipped device its name."""
    from edgecnn.recipes.target import is_path, split_target

    written = split_target(asked.target or _recipe(asked).target.device)[0]
    return written if is_path(written) else request.device.name


def refuse_unusable_texts(asked: BuildOptions) -> None:
    """Refuse an empty text, which is an unset shell variable, and text that is not valid UTF-8, which no report can hold."""
    from edgecnn.errors.recipes import EMPTY_OPTION, option_not_unicode

    for each, value in given_in(asked):
        for text in _texts(value) if each.enters != OF_THE_CALL else ():
            if not text.strip():
                raise EMPTY_OPTION(option=each.word)
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise option_not_unicode(option=each.word, value=text)


def _texts(value: Any) -> tuple[str, ...]:
    """The words that an option was given; a flag has none."""
    return value if isinstance(value, tuple) else () if value is True else (str(value),)


def recipe_of(asked: BuildOptions) -> Recipe:
    """The recipe alone, for what builds nothing.

    Raises:
        EdgecnnError: as ``request_from``, of the recipe.
    """
    refuse_unusable_texts(asked)
    return _recipe(asked)


def _recipe(asked: BuildOptions) -> Recipe:
    from edgecnn.recipes.recipe import apply_overrides, load_recipe
    from edgecnn.values.recipe import Recipe

    named = [(each.enters, value) for each, value in given_in(asked)]
    as_set = [f"{enters.key}={json.dumps(value, ensure_ascii=False)}" for enters, value in named if isinstance(enters, AsSet)]
    recipe = apply_overrides(load_recipe(asked.recipe) if asked.recipe else Recipe(), [*asked.overrides, *as_set])
    for enters, value in named:
        if isinstance(enters, InRecipe):
            table, _, key = enters.key.partition(".")
            changed = getattr(recipe, table).model_copy(update={key: _read(enters, value)})
            recipe = recipe.model_copy(update={table: changed})
    return recipe


def stated_by_options(asked: BuildOptions) -> dict[str, str]:
    """Each key of the recipe that an option states, and that option."""
    named = {each.enters.key: each.word for each, _ in given_in(asked) if isinstance(each.enters, InRecipe | AsSet)}
    if asked.target is not None:
        named["target.device"] = "--target"
        if ":" in asked.target:
            named["target.runtime"] = "--target"
    return named


def command_of(asked: BuildOptions) -> Command:
    """The command that asks this again."""
    from edgecnn.values.command import Command

    parts = list[tuple[str, ...]]()
    for each, value in given_in(asked):
        if each.enters != OF_THE_CALL:
            parts += [(each.word,)] if value is True else [(*each.names[:1], text) for text in _texts(value)]
    return Command(verb=tuple(asked.verb.split()), parts=tuple(parts))
