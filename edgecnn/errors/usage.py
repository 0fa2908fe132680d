"""Failures of a command line itself: what was typed names no verb, no option, or leaves something out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import did_you_mean, shell_word, shortened


class NoSuchCommand(EdgecnnError):
    """Raised when a word stands where a verb should; ``command`` is what stands before it, such as `edgecnn store`.

    ``inside``: commands of that name inside groups, such as `edgecnn study cost`.
    """

    def __init__(self, *, command: str, name: str, known: Sequence[str], inside: Sequence[str] = ()) -> None:
        named = " or ".join(f"`{command}`" for command in inside)
        meant = f"did you mean {named}? " if inside else did_you_mean(name, known)
        super().__init__(what=f"{command} has no command {name!r}", hint=f"{meant}all commands: {command} --help")


class NothingToBuildFrom(EdgecnnError):
    """Raised when a build names neither a recipe nor a network, images or device. ``verb``: such as ``build``."""

    def __init__(self, *, verb: str) -> None:
        super().__init__(
            what=f"`edgecnn {verb}` names no recipe, network, images or device",
            hint=(
                f"your images: edgecnn {verb} --data photos/ --arch mobilenet-v2 --target cpu; "
                f"a first try on demo images: edgecnn {verb} --arch mobilenet-v2 --target cpu; "
                "a recipe for your images: edgecnn init photos/"
            ),
        )


class NoSuchOption(EdgecnnError):
    """Raised when a verb does not take an option.

    ``near``: options of the verb that look alike, the nearest first. ``key``: the key of a recipe with that name, which the verb
    takes with ``--set``.
    """

    def __init__(self, *, command: str, option: str, near: Sequence[str], key: str | None = None) -> None:
        meant = f"--set {key}=VALUE" if key is not None else near[0] if near else None
        super().__init__(
            what=f"{command} has no option {option!r}",
            hint=f"{f'did you mean {meant}? ' if meant else ''}all options: {command} --help",
        )


class MissingArgument(EdgecnnError):
    """Raised when a verb is not given a word it cannot do without, which its help calls ``name`` and explains as ``meaning``."""

    def __init__(self, *, command: str, name: str, meaning: str | None) -> None:
        super().__init__(what=f"{command} needs {name}", because=meaning, hint=f"how it is written: {command} --help")


class BadValue(EdgecnnError):
    """Raised when an option is given a value of a wrong kind; ``value`` is None where it cannot be told which word it was."""

    def __init__(self, *, command: str, name: str, value: str | None, reason: str) -> None:
        given = "what it was given" if value is None else repr(value)
        super().__init__(what=f"{command}: {name} cannot be {given}", because=reason, hint=f"what it takes: {command} --help")


class NotUnderstood(EdgecnnError):
    """Raised for every other command line that makes no sense, such as one that ends where a value should come."""

    ref = "usage"

    def __init__(self, *, command: str, reason: str) -> None:
        super().__init__(what=f"{command} was not understood", because=reason, hint=f"how it is written: {command} --help")


class UnknownList(EdgecnnError):
    """Raised when `edgecnn list` is asked for what it does not list."""

    def __init__(self, *, name: str, known: Sequence[str]) -> None:
        super().__init__(
            what=f"there is no list {name!r}",
            because=f"there are {', '.join(known)}",
            hint=f"{did_you_mean(name, known)}what each holds: edgecnn list --help",
        )


class PlotOfWhat(EdgecnnError):
    """Raised when a plot is asked of a list that has none, or a build is named without a plot to stand on."""

    def __init__(self, *, what: str, plotted: bool) -> None:
        because = f"--plot draws networks, and the list is of {what}" if plotted else "--build names what --plot is to draw too"
        super().__init__(what="nothing to draw", because=because, hint="edgecnn list archs --plot FILE.html")


class ListBudgetInvalid(EdgecnnError):
    """Raised when ``edgecnn list archs`` is asked for networks inside what is no budget."""

    def __init__(self, *, text: str, because: str) -> None:
        super().__init__(
            what=f"{text!r} is not a budget of `edgecnn list archs`",
            because=because,
            hint="edgecnn list archs --target raspberry-pi-5 --within p50_ms=50 --within size_mib=10; or images_per_s=20",
        )


class TargetOfAList(EdgecnnError):
    """Raised when a list other than that of networks is asked for a device, or budgets are stated of no device."""

    def __init__(self, *, option: str, because: str) -> None:
        super().__init__(
            what=f"{option} has no meaning here",
            because=because,
            hint="edgecnn list archs --target raspberry-pi-5 --within p50_ms=50",
        )


class PortInUse(EdgecnnError):
    """Raised when another process listens there already."""

    def __init__(self, *, host: str, port: int, bundle: str) -> None:
        super().__init__(
            what=f"port {port} of {host} is taken",
            because="another process listens there",
            hint=f"a free one: edgecnn bundle serve {shell_word(bundle)} --port 0",
        )


class AddressUnusable(EdgecnnError):
    """Raised when this machine has no such address, or may not listen on that port."""

    def __init__(self, *, host: str, port: int, because: str, bundle: str) -> None:
        super().__init__(
            what=f"cannot listen on {host}, port {port}",
            because=because,
            hint=f"for this machine alone, on a free port: edgecnn bundle serve {shell_word(bundle)}",
        )


class NothingJudged(EdgecnnError):
    """Raised when a verb that judges nothing is asked for a file of verdicts."""

    def __init__(self, *, verb: str) -> None:
        super().__init__(
            what=f"edgecnn {verb} judges nothing, so --junit would hold no test",
            hint="give --junit to edgecnn build or edgecnn judge",
        )


class ResultFileUnwritable(EdgecnnError):
    """Raised, before any work where that can be told, when a file of results cannot be written."""

    def __init__(self, *, option: str, path: Path, because: str) -> None:
        super().__init__(what=f"{option} {path} cannot be written", because=because, hint=f"choose another file with {option}")


class WrongBytes(EdgecnnError):
    """Raised when a file's own bytes show why it is not the expected file, as those of a Git LFS pointer do."""

    def __init__(self, *, file: Path, because: str, hint: str) -> None:
        super().__init__(what=f"{file} is not the expected file", because=because, hint=hint)


class PathTooLong(EdgecnnError):
    """Raised when the file system takes no name as long as that of a file or folder."""

    def __init__(self, *, path: object) -> None:
        what = f"the path {shortened(ascii(str(path)))} cannot be used"
        super().__init__(what=what, because="it is longer than the file system allows", hint="name a shorter path")


class NoVerdict(EdgecnnError):
    """Never raised: what a file of verdicts says until there is one, so that a killed call leaves no older verdict behind."""

    def __init__(self) -> None:
        super().__init__(what="edgecnn ended before any verdict", because="it was killed, or is still running")


class OwnFault(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised for nothing: it words an exception that no error of ours foresaw."""

    def __init__(self, *, error: BaseException) -> None:
        super().__init__(
            what=f"edgecnn failed in a way it should not: {type(error).__name__}",
            because=str(error).splitlines()[0] if str(error) else None,
            hint="please report the traceback above; no verdict was given",
        )


class HostOfNothing(EdgecnnError):
    """Raised when a verb that measures nothing is given a board."""

    def __init__(self, *, verb: str) -> None:
        super().__init__(what=f"edgecnn {verb} runs no kit, so --host has nothing to do", hint="build, profile and bench take it")


class HostOptionWithoutHost(EdgecnnError):
    """Raised when an option of a board is given, and no board."""

    def __init__(self, *, option: str) -> None:
        super().__init__(
            what=f"{option} is about a board, and --host names none", hint=f"say --host user@board, or leave {option} out"
        )
