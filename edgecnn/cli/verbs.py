"""How a verb becomes a command: its options, its progress, what it shows, how it ends, and what a CI job reads of it.

A verb is a function that takes a ``Call`` and, as parameters, the options that it alone has. A CI job reads a JUnit file,
GitHub's annotations and a summary for its page. The file is there from the beginning, as an error, so that a killed call leaves
none of an earlier one.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgecnn.cli.options import JOB, SHOWN, BuildOptions, Group, Row, rows_of
from edgecnn.cli.usage import guarded
from edgecnn.errors.base import EdgecnnError, ExitCode, system_reason
from edgecnn.errors.recipes import EMPTY_OPTION
from edgecnn.errors.usage import NO_VERDICT, RESULT_FILE_UNWRITABLE, USAGE

if TYPE_CHECKING:
    from edgecnn.render.ci import GateSheet

if TYPE_CHECKING:
    from pydantic import BaseModel

    from edgecnn.render.ci import GateSheet
    from edgecnn.render.progress import ProgressDisplay
    from edgecnn.store.store import Store


class Job:
    """Who else is told of a judgement."""

    def __init__(self, junit: str | None = None, *, unsure_passes: bool = False) -> None:
        self._junit, self._unsure_passes = junit, unsure_passes

    def watched(self, body: Callable[[], ExitCode]) -> ExitCode:
        """Run a body that will call ``tell``, and end as the job wants; an error that it ends with stands in the JUnit file too.

        Raises:
            EMPTY_OPTION, RESULT_FILE_UNWRITABLE: of ``--junit``, before the body runs.
        """
        if self._junit is None:
            return self._ended(body())
        if not self._junit.strip():
            raise EMPTY_OPTION(option="--junit")
        from edgecnn.render.ci import junit_of_error

        self._write(junit_of_error(NO_VERDICT()))
        try:
            return self._ended(body())
        except EdgecnnError as error:
            self._write(junit_of_error(error))
            raise

    def tell(self, *sheets: GateSheet) -> None:
        """Say it everywhere where this process's surroundings want it said, with the weight that the exit code gives it."""
        from edgecnn.render.ci import annotation_lines, junit_of, summary_markdown
        from edgecnn.render.terminal import show_talk

        sheets = tuple(replace(sheet, unsure_passes=self._unsure_passes) for sheet in sheets)
        if self._junit is not None:
            self._write(junit_of(*sheets))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            show_talk(line for sheet in sheets for line in annotation_lines(sheet))
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            try:
                with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as stream:
                    stream.writelines(summary_markdown(sheet) for sheet in sheets)
            except OSError as error:  # the runner's file, not the user's: a verdict is not lost over it
                show_talk([f"edgecnn: no summary was written: {summary}: {system_reason(error)}"])

    def _ended(self, code: ExitCode) -> ExitCode:
        return ExitCode.OK if code is ExitCode.UNSURE and self._unsure_passes else code

    def _write(self, text: str) -> None:
        from edgecnn.store.disk import write_text_atomically

        path = Path(self._junit or "")
        try:
            write_text_atomically(path, text)
        except (OSError, ValueError) as error:
            reason = system_reason(error)
            raise RESULT_FILE_UNWRITABLE(option="--junit", path=path, because=reason) from error


Takes = tuple[Group | str | type[BuildOptions], ...]
"""Groups of the table, or single rows by name; and the table itself, where it is not ``BuildOptions`` alone."""
Body = Callable[..., ExitCode | None]


class Call:
    """One call of a verb: what was asked, who hears of progress, how results are shown."""

    def __init__(self, asked: BuildOptions, *, judges: bool) -> None:
        self.asked = asked
        self.job = Job(asked.junit if judges else None, unsure_passes=asked.unsure_passes)

    @cached_property
    def tell(self) -> ProgressDisplay:
        """Progress, on stderr; none where it would stand beside JSON."""
        from edgecnn.render.progress import progress_for

        return progress_for(quiet=self.asked.quiet or self.asked.as_json)

    @cached_property
    def store(self) -> Store:
        """The store that this process uses."""
        from edgecnn.store.store import Store

        return Store.open()

    def close(self) -> None:
        """Take progress away, before anything is shown and at the end."""
        if "tell" in self.__dict__:
            self.tell.close()

    def show(self, found: BaseModel | Mapping[str, Any] | list[Any], text: Callable[[], object] | Iterable[str]) -> None:
        """Show a result: as one JSON document, or as these lines, or as ``text`` prints it."""
        from edgecnn.render.terminal import show_json

        self.close()
        if self.asked.as_json:
            show_json(found if isinstance(found, Mapping | list) else found.model_dump(mode="json", by_alias=True))
        elif callable(text):
            text()
        else:
            self.add(text)

    def add(self, lines: Iterable[str]) -> None:
        """Print lines on stdout, where no JSON document stands there."""
        from edgecnn.render.terminal import show_lines

        show_lines([] if self.asked.as_json else lines)

    def warn(self, lines: Iterable[str]) -> None:
        """Print lines on stderr."""
        from edgecnn.render.terminal import show_talk

        self.close()
        show_talk(lines)

    def judge(self, sheet: GateSheet, found: BaseModel, text: Callable[[], object] | Iterable[str]) -> ExitCode:
        """Tell the job, show the result, and say how a call with these gates ends."""
        from edgecnn.judging.gates import exit_code_of

        self.close()
        self.job.tell(sheet)
        self.show(found, text)
        return exit_code_of(sheet.gates, require_measured=sheet.require_measured)


def run_verb(call: Call, body: Callable[[], ExitCode | None]) -> ExitCode:
    """Run a verb's body to its end, whatever that is, and turn it into an exit code."""

    def closed() -> ExitCode:
        try:
            return body() or ExitCode.OK
        finally:
            call.close()

    if call.asked.debug:  # tracebacks of what does not end the call
        log = logging.getLogger("edgecnn")
        log.setLevel(logging.DEBUG)
        log.addHandler(logging.StreamHandler())
    return guarded(lambda: call.job.watched(closed), as_json=call.asked.as_json, debug=call.asked.debug)


def verb(app: typer.Typer, name: str, *, short: str, takes: Takes = (), examples: Sequence[str] = ()) -> Callable[[Body], Body]:
    """Make a function a verb of an app. ``examples``: command lines that its help begins with."""

    def register(body: Body) -> Body:
        app.command(name, help=_help(body, short), short_help=short)(_taking(body, name, takes))
        return body

    return register


def family(app: typer.Typer, name: str, *, short: str) -> typer.Typer:
    """Make a group of verbs of an app, as in ``edgecnn store gc``."""
    group = typer.Typer(no_args_is_help=True, help=short)
    app.add_typer(group, name=name)
    return group


def leading(group: typer.Typer, name: str, *, short: str, takes: Takes = ()) -> Callable[[Body], Body]:
    """Make a function what a group does by itself where no verb of it follows, as in ``edgecnn evidence --target cpu``."""

    def register(body: Body) -> Body:
        taking = _taking(body, name, takes)

        def command(context: typer.Context, **values: Any) -> None:
            if context.invoked_subcommand is None:
                taking(**values)
                return
            given = [
                each.opts[0]
                for each in context.command.params
                if getattr(context.get_parameter_source(each.name or ""), "name", "") == "COMMANDLINE"
            ]
            if given:
                reason = f"{', '.join(given)} stands before {context.invoked_subcommand}, whose options come behind it"
                raise USAGE(command=f"edgecnn {name}", reason=reason)

        parameters = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
        parameters += inspect.signature(taking).parameters.values()
        _signed_with(command, parameters)
        group.callback(invoke_without_command=True, help=_help(body, short), short_help=short)(command)
        return body

    return register


def _help(body: Body, short: str) -> str:
    return "\n\n".join(" ".join(each.split()) for each in (inspect.getdoc(body) or short).split("\n\n"))


def _taking(body: Body, name: str, takes: Takes) -> Callable[..., None]:
    table = next((each for each in takes if isinstance(each, type)), BuildOptions)
    rows = [each for each in rows_of(table) if each.group is SHOWN or each.group in takes or each.name in takes]
    return _command(body, rows, lambda given: Call(table(**given, verb=name), judges=JOB in takes))


def _command(body: Body, rows: list[Row], called: Callable[[dict[str, Any]], Call]) -> Callable[..., None]:
    """The function that typer calls, with the body's own parameters and the table's; of one name the body's is meant."""
    own = {each.name: each for each in list(inspect.signature(body, eval_str=True).parameters.values())[1:]}
    taken = [each for each in rows if each.name not in own]

    def command(**values: Any) -> None:
        given = {each.name: values.pop(each.name) for each in taken}
        lists = {each.name: tuple(given[each.name] or ()) for each in taken if isinstance(each.default, tuple)}
        call = called({**given, **lists})
        raise typer.Exit(run_verb(call, lambda: body(call, **values)))

    every = [*(each for name, each in own.items() if name not in {row.name for row in rows})]
    keyword = inspect.Parameter.KEYWORD_ONLY
    for each in rows:
        default = None if isinstance(each.default, tuple) else each.default
        made = inspect.Parameter(each.name, keyword, default=default, annotation=each.annotation)
        every.append(own.get(each.name, made))
    parameters = [each.replace(kind=keyword) for each in every]
    return _signed_with(command, parameters)


def _signed_with(command: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """The same function, of which typer reads these parameters."""
    command.__dict__["__signature__"] = inspect.Signature(parameters)
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command
