"""From flags to a request: recipe file, then --set, then the named flags, each winning over the one before."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecnn.planning.request import BuildRequest, Goal
    from edgecnn.values.board import HostAsked
    from edgecnn.values.recipe import Recipe
    from edgecnn.values.scale import CompoundScale


@dataclass(frozen=True)
class Asked:
    """The flags that say what to build."""

    recipe: str | None = None
    arch: str | None = None
    onnx: str | None = None
    target: str | None = None
    data: str | None = None
    no_labels: bool = False
    keep_head: bool = False
    weights: str | None = None
    scale: str | None = None
    overrides: tuple[str, ...] = ()
    out: str | None = None
    at_most: tuple[str, ...] = ()
    at_least: tuple[str, ...] = ()
    require_measured: bool = False
    refresh_weights: bool = False
    meter: str | None = None
    tensorboard: str | None = None
    until: str | None = None
    batches: str | None = None
    end_to_end: bool = False
    soak: str | None = None
    knobs: bool = False
    objective: str | None = None
    time_budget: str | None = None
    transfer: str | None = None
    teacher: str | None = None
    host: str | None = None
    python: str | None = None
    clean: bool = False
    carry_wheels: bool = False
    verb: str = field(default="build")


def request_from(asked: Asked, goal: Goal) -> BuildRequest:
    """Everything the flags say, as one value.

    Raises:
        EdgecnnError: an unknown network, target, key or metric, each with the nearest right one; a text that names nothing.
    """
    from edgecnn.devices.files import file_of, target_of
    from edgecnn.judging.bounds import parse_bounds
    from edgecnn.planning.custom_model import network_name
    from edgecnn.planning.request import BuildRequest, extra_runs_of, share_of, time_budget_of

    refuse_unusable_texts(asked)
    recipe = _recipe(asked)
    name = network_name(recipe.model)
    device, runtime = target_of(recipe.target, asked.target)
    target = recipe.target.model_copy(update={"device": device.name, "runtime": runtime})
    return BuildRequest.model_validate(
        {
            "recipe": recipe.model_copy(update={"target": target}),
            "device": device,
            "device_file": file_of(asked.target or recipe.target.device, device),
            "out": Path(asked.out or f"builds/{name}-{device.name}"),
            "goal": goal,
            "time_budget_s": None if asked.time_budget is None else time_budget_of(asked.time_budget),
            "refresh_weights": asked.refresh_weights,
            "meter": None if asked.meter is None else Path(asked.meter),
            "tensorboard": None if asked.tensorboard is None else Path(asked.tensorboard),
            "until": None if asked.until is None else share_of(asked.until),
            "extent": extra_runs_of(asked.batches, end_to_end=asked.end_to_end, soak=asked.soak),
            "gates": parse_bounds(asked.at_most, asked.at_least, require_measured=asked.require_measured),
            "host": host_asked(asked.host, asked.python, clean=asked.clean, carry_wheels=asked.carry_wheels),
            "command": command_line(asked),
        }
    )


def host_asked(host: str | None, python: str | None, *, clean: bool = False, carry_wheels: bool = False) -> HostAsked | None:
    """The board that a call names, its address checked before anything is done.

    Raises:
        BadAddress: no destination.
        HostOptionWithoutHost, CarryWithoutHost: how to use a board, and no board.
    """
    from edgecnn.errors.board import CarryWithoutHost
    from edgecnn.errors.usage import HostOptionWithoutHost
    from edgecnn.hosts.ssh.address import Address
    from edgecnn.values.board import HostAsked

    if host is None:
        if carry_wheels:
            raise CarryWithoutHost
        for option, given in (("--python", python is not None), ("--clean", clean)):
            if given:
                raise HostOptionWithoutHost(option=option)
        return None
    return HostAsked(address=Address.of(host).destination, python=python, clean=clean, carry_wheels=carry_wheels)


def device_as_written(asked: Asked, request: BuildRequest) -> str:
    """The path of a user's own device file, by which alone it is found again; of a shipped device its name."""
    from edgecnn.recipes.recipe import is_path, split_target

    written = split_target(asked.target or _recipe(asked).target.device)[0]
    return written if is_path(written) else request.device.name


def refuse_unusable_texts(asked: Asked) -> None:
    """An empty text is a shell variable that was not set, and never a wish; what is no UTF-8 could be written into no report."""
    from edgecnn.errors.recipes import EmptyOption, OptionNotUnicode

    single = {
        "RECIPE": asked.recipe,
        "--arch": asked.arch,
        "--model": asked.onnx,
        "--target": asked.target,
        "--data": asked.data,
        "--weights": asked.weights,
        "--scale": asked.scale,
        "--out": asked.out,
        "--meter": asked.meter,
        "--tensorboard": asked.tensorboard,
        "--until": asked.until,
        "--batches": asked.batches,
        "--soak": asked.soak,
        "--objective": asked.objective,
        "--time-budget": asked.time_budget,
        "--transfer": asked.transfer,
        "--teacher": asked.teacher,
        "--host": asked.host,
        "--python": asked.python,
    }
    several = {"--set": asked.overrides, "--max": asked.at_most, "--min": asked.at_least}
    given = [(option, value) for option, value in single.items() if value is not None]
    given += [(option, value) for option, values in several.items() for value in values]
    for option, value in given:
        if not value.strip():
            raise EmptyOption(option=option)
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise OptionNotUnicode(option=option, value=value)


def recipe_of(asked: Asked) -> Recipe:
    """The recipe alone, for what builds nothing.

    Raises:
        EdgecnnError: as ``request_from``, of the recipe.
    """
    refuse_unusable_texts(asked)
    return _recipe(asked)


def _recipe(asked: Asked) -> Recipe:
    from edgecnn.recipes.recipe import apply_overrides, load_recipe
    from edgecnn.values.recipe import Recipe

    overrides = [*asked.overrides, *([f"choice.objective={asked.objective}"] if asked.objective else [])]
    overrides += [f"train.transfer={asked.transfer}"] if asked.transfer else []
    overrides += [f"train.teacher={json.dumps(asked.teacher)}"] if asked.teacher else []
    recipe = apply_overrides(load_recipe(asked.recipe) if asked.recipe else Recipe(), overrides)
    scale = None if asked.scale is None else scale_of(asked.scale).text()
    given: dict[str, str | bool | None] = {"arch": asked.arch, "onnx": asked.onnx, "weights": asked.weights, "scale": scale}
    given["keep_head"] = asked.keep_head or None
    if any(value is not None for value in given.values()):
        recipe = recipe.model_copy(
            update={"model": recipe.model.model_copy(update={k: v for k, v in given.items() if v is not None})}
        )
    if asked.knobs:
        recipe = recipe.model_copy(update={"race": recipe.race.model_copy(update={"knobs": True})})
    if asked.data is not None:
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"path": asked.data})})
    if asked.no_labels:
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"labels": False})})
    return recipe


def scale_of(text: str) -> CompoundScale:
    """What ``--scale`` says.

    Raises:
        ScaleInvalid: nothing that is a scale.
    """
    from edgecnn.errors.studies import ScaleInvalid
    from edgecnn.values.scale import CompoundScale

    try:
        return CompoundScale.from_text(text)
    except ValueError as error:
        raise ScaleInvalid(text=text, because=str(error)) from error


def command_line(asked: Asked) -> str:
    """The command that asks this again, quoted for a POSIX shell."""
    import shlex

    words = ["edgecnn", asked.verb]
    if asked.recipe:
        words.append(asked.recipe)
    named = {"--arch": asked.arch, "--model": asked.onnx, "--target": asked.target, "--data": asked.data}
    named |= {"--weights": asked.weights, "--scale": asked.scale}
    words += [word for flag, value in named.items() if value is not None for word in (flag, value)]
    words += [
        word
        for flag, values in (("--set", asked.overrides), ("--max", asked.at_most), ("--min", asked.at_least))
        for v in values
        for word in (flag, v)
    ]
    words += ["--keep-head"] if asked.keep_head else []
    words += ["--no-labels"] if asked.no_labels else []
    words += ["--require-measured"] if asked.require_measured else []
    words += ["--meter", asked.meter] if asked.meter else []
    words += ["--tensorboard", asked.tensorboard] if asked.tensorboard else []
    later = {"--until": asked.until, "--batches": asked.batches, "--soak": asked.soak}
    words += [word for flag, value in later.items() if value for word in (flag, value)]
    words += ["--end-to-end"] if asked.end_to_end else []
    words += ["--knobs"] if asked.knobs else []
    words += ["--objective", asked.objective] if asked.objective else []
    words += ["--transfer", asked.transfer] if asked.transfer else []
    words += ["--teacher", asked.teacher] if asked.teacher else []
    words += ["--time-budget", asked.time_budget] if asked.time_budget else []
    words += [word for flag, value in (("--host", asked.host), ("--python", asked.python)) if value for word in (flag, value)]
    words += ["--clean"] if asked.clean else []
    words += ["--carry-wheels"] if asked.carry_wheels else []
    words += ["--out", asked.out] if asked.out else []
    return shlex.join(words)
