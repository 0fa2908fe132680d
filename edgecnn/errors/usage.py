"""Failures of a command line: an unknown verb or option, or a missing argument."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import did_you_mean, shortened

NO_SUCH_COMMAND = ErrorRow(
    "no-such-command", "{command} has no command {name!r}", fix="{guess}to list all commands, run {command} --help"
)
NO_SUCH_OPTION = ErrorRow(
    "no-such-option", "{command} has no option {option!r}", fix="{guess}to list all options, run {command} --help"
)
NOTHING_TO_BUILD_FROM = ErrorRow(
    "nothing-to-build-from",
    "`edgecnn {verb}` names no recipe, network, images or device",
    fix="for your images, run edgecnn {verb} --data photos/ --arch mobilenet-v2 --target cpu; "
    "for a first try on demo images, run edgecnn {verb} --arch mobilenet-v2 --target cpu; "
    "to write a recipe for your images, run edgecnn init photos/",
)
MISSING_ARGUMENT = ErrorRow(
    "missing-argument", "{command} needs the argument {name}", "{meaning}", "for usage, run {command} --help"
)
BAD_VALUE = ErrorRow(
    "bad-value",
    "{command}: {shown} is not a valid value of {name}",
    "{reason}",
    "for valid values, run {command} --help",
    also=("value",),
)
_CANNOT_PARSE = "edgecnn cannot parse the command line of {command}"
_USAGE = "for usage, run {command} --help"
USAGE = ErrorRow("usage", _CANNOT_PARSE, "{reason}", _USAGE)
VARIABLE_INVALID = ErrorRow(
    "variable-invalid",
    "{name} is {value!r}, which is neither on nor off",
    "it is on with {on:commas}, and off with {off:commas} or if it is not set",
    "export {name}=1, or unset {name}",
)
RESOLUTION_OF_A_FILE = ErrorRow(
    "resolution-of-a-file", _CANNOT_PARSE, "--resolution does not apply: {network} has a fixed resolution", _USAGE
)
JOBS_WITH_CLUSTER = ErrorRow(
    "jobs-with-cluster",
    _CANNOT_PARSE,
    "--jobs uses processes on this machine and --on uses a cluster; pass only one of them",
    _USAGE,
)
OPTIONS_BEFORE_VERB = ErrorRow(
    "options-before-verb", _CANNOT_PARSE, "{options:commas} comes before {verb}; put its options after it", _USAGE
)
UNKNOWN_LIST = ErrorRow(
    "unknown-list",
    "there is no list {name!r}",
    "the lists are {known:commas}",
    "{guess}for their contents, run edgecnn list --help",
)
PLOT_OF_WHAT = ErrorRow(
    "plot-of-what",
    "there is nothing to draw",
    "--plot draws networks, but this is the list of {list}",
    "run edgecnn list archs --plot FILE.html",
)
BUILD_WITHOUT_PLOT = ErrorRow(
    "build-without-plot",
    "there is nothing to draw",
    "--build needs --plot, which draws the build",
    "run edgecnn list archs --plot FILE.html",
)
LIST_BUDGET_INVALID = ErrorRow(
    "list-budget-invalid",
    "{text!r} is not a budget of `edgecnn list archs`",
    "{because}",
    "run edgecnn list archs --target raspberry-pi-5 --within p50_ms=50 --within size_mib=10, or use images_per_s=20",
)
TARGET_OF_A_LIST = ErrorRow(
    "target-of-a-list",
    "{option} has no effect on the list of {list}",
    "only networks are listed by device",
    "run edgecnn list archs --target raspberry-pi-5 --within p50_ms=50",
)
LIST_WITHOUT_TARGET = ErrorRow(
    "list-without-target",
    "{option} needs --target",
    "latency and size depend on the device",
    "run edgecnn list archs --target raspberry-pi-5 --within p50_ms=50",
)
BUILD_WITH_TARGET = ErrorRow(
    "build-with-target",
    "--build has no effect with --target, --within or --classes",
    "only the plot of published figures shows builds",
    "remove --build, or draw the builds with edgecnn list archs --plot FILE.html --build {build:word}",
)
PORT_IN_USE = ErrorRow(
    "port-in-use",
    "port {port} of {host} is in use",
    "another process listens on it",
    "use a free port with edgecnn bundle serve {bundle:word} --port 0",
)
ADDRESS_UNUSABLE = ErrorRow(
    "address-unusable",
    "cannot listen on {host}, port {port}",
    "{because}",
    "to listen on this machine only, on a free port, run edgecnn bundle serve {bundle:word}",
)
NOTHING_JUDGED = ErrorRow(
    "nothing-judged",
    "edgecnn {verb} judges nothing, so --junit would contain no test",
    fix="pass --junit to edgecnn build or edgecnn judge",
)
RESULT_FILE_UNWRITABLE = ErrorRow(
    "result-file-unwritable", "{option} {path} cannot be written", "{because}", "choose another file with {option}"
)
WRONG_BYTES = ErrorRow("wrong-bytes", "{file} is not the expected file", "{because}", "{hint}")
PATH_TOO_LONG = ErrorRow(
    "path-too-long", "the path {path} cannot be used", "it is longer than the file system allows", "use a shorter path"
)
NO_VERDICT = ErrorRow("no-verdict", "edgecnn stopped before any verdict", "it was killed, or is still running")
"""Never raised: the initial content of a JUnit file, so that a killed call leaves no earlier verdict behind."""
OWN_FAULT = ErrorRow(
    "own-fault",
    "edgecnn failed with an unexpected error: {type}",
    "{text}",
    "please report the traceback above; no verdict was given",
    exit_code=ExitCode.OWN_FAULT,
)
HOST_OF_NOTHING = ErrorRow(
    "host-of-nothing",
    "edgecnn {verb} runs no kit, so --host has no effect",
    fix="use --host with edgecnn build, profile or bench",
)
HOST_OPTION_WITHOUT_HOST = ErrorRow(
    "host-option-without-host",
    "{option} applies to a board, but no board is named",
    fix="add --host user@board, or remove {option}",
)


def no_such_command(command: str, name: str, known: Sequence[str], inside: Sequence[str] = ()) -> EdgecnnError:
    """``inside``: commands of that name inside groups, such as `edgecnn study cost`."""
    named = " or ".join(f"`{command}`" for command in inside)
    guess = f"did you mean {named}? " if inside else did_you_mean(name, known)
    return NO_SUCH_COMMAND(command=command, name=name, guess=guess)


def no_such_option(command: str, option: str, near: Sequence[str], key: str | None = None) -> EdgecnnError:
    """``near``: similar options of the verb, the nearest first; ``key``: a recipe key of that name, for ``--set``."""
    meant = f"--set {key}=VALUE" if key is not None else near[0] if near else None
    return NO_SUCH_OPTION(command=command, option=option, guess=f"did you mean {meant}? " if meant else "")


def bad_value(command: str, name: str, value: str | None, reason: str) -> EdgecnnError:
    """``value``: None if the word in question is unknown."""
    return BAD_VALUE(command=command, name=name, shown="the word" if value is None else repr(value), reason=reason, value=value)


def unknown_list(name: str, known: Sequence[str]) -> EdgecnnError:
    return UNKNOWN_LIST(name=name, known=known, guess=did_you_mean(name, known))


def list_budget_unknown(text: str, name: str, near: str | None) -> EdgecnnError:
    nearest_figure = f"; the nearest is {near}" if near else ""
    return LIST_BUDGET_INVALID(text=text, because=f"{name!r} is not a figure of this list{nearest_figure}")


def path_too_long(path: object) -> EdgecnnError:
    return PATH_TOO_LONG(path=shortened(ascii(str(path))))


def own_fault(error: BaseException) -> EdgecnnError:
    """Describe an unexpected exception."""
    text = str(error).splitlines()
    return OWN_FAULT(type=type(error).__name__, text=text[0] if text else None)
