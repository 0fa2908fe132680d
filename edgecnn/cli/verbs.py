"""Turn verbs into commands: their options, progress, output, exit code, and the files for a CI job.

A verb is a function that takes a ``Call`` and the options that only this verb has. A CI job reads a JUnit file, GitHub's
annotations and a step summary. The JUnit file holds an error from the start, so a killed call leaves no earlier verdict.
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
from edgecnn.errors.usage import NO_VERDICT, OPTIONS_BEFORE_VERB, RESULT_FILE_UNWRITABLE

if TYPE_CHECKING:
    from pydantic import BaseModel

    from edgecnn.render.ci import GateSheet
    from edgecnn.render.progress import ProgressDisplay
    from edgecnn.store.store import Store


class Job:
    """The CI job that runs this process, and the files it reads."""

    def __init__(self, junit: str | None = None, *, unsure_passes: bool = False) -> None:
        self._junit, self._unsure_passes = junit, unsure_passes

    def run_watched(self, body: Callable[[], ExitCode]) -> ExitCode:
        """Run a verb's body and return the job's exit code. The JUnit file holds the body's error, if it raises one.

        Raises:
            EMPTY_OPTION, RESULT_FILE_UNWRITABLE: ``--junit`` is unusable; raised before the body runs.
        """
        if self._junit is None:
            return self._exit_code(body())
        if not self._junit.strip():
            raise EMPTY_OPTION(option="--junit")
        from edgecnn.render.ci import junit_of_error

        self._write(junit_of_error(NO_VERDICT()))
        try:
            return self._exit_code(body())
        except EdgecnnError as error:
            self._write(junit_of_error(error))
            raise

    def tell(self, *sheets: GateSheet) -> None:
        """Write verdicts to the JUnit file, GitHub's annotations and the step summary, as far as the job has them."""
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
            except OSError as error:  # the file belongs to the CI runner, not to the user, so the verdict does not change
                show_talk([f"edgecnn: no summary was written: {summary}: {system_reason(error)}"])

    def _exit_code(self, code: ExitCode) -> ExitCode:
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
"""Groups of options, single options by name, and the table of options if it is not ``BuildOptions``."""
Body = Callable[..., ExitCode | None]


class Call:
    """One call of a verb: its options, progress, store and output."""

    def __init__(self, options: BuildOptions, *, judges: bool) -> None:
        self.options = options
        self.job = Job(options.junit if judges else None, unsure_passes=options.unsure_passes)

    @cached_property
    def tell(self) -> ProgressDisplay:
        """Progress on stderr; none with ``--quiet`` or ``--json``."""
        from edgecnn.render.progress import progress_for

        return progress_for(quiet=self.options.quiet or self.options.as_json)

    @cached_property
    def store(self) -> Store:
        """The store that this process uses."""
        from edgecnn.store.store import Store

        return Store.open()

    def close(self) -> None:
        """Remove the progress display."""
        if "tell" in self.__dict__:
            self.tell.close()

    def show(self, result: BaseModel | Mapping[str, Any] | list[Any], text: Callable[[], object] | Iterable[str]) -> None:
        """Show a result: as one JSON document, or as lines, or by calling ``text``."""
        from edgecnn.render.terminal import show_json

        self.close()
        if self.options.as_json:
            show_json(result if isinstance(result, Mapping | list) else result.model_dump(mode="json", by_alias=True))
        elif callable(text):
            text()
        else:
            self.add(text)

    def add(self, lines: Iterable[str]) -> None:
        """Print lines on stdout, unless it holds a JSON document."""
        from edgecnn.render.terminal import show_lines

        show_lines([] if self.options.as_json else lines)

    def warn(self, lines: Iterable[str]) -> None:
        """Print lines on stderr."""
        from edgecnn.render.terminal import show_talk

        self.close()
        show_talk(lines)

    def judge(self, sheet: GateSheet, result: BaseModel, text: Callable[[], object] | Iterable[str]) -> ExitCode:
        """Tell the CI job, show the result, and return the exit code of its gates."""
        from edgecnn.judging.gates import exit_code_of

        self.close()
        self.job.tell(sheet)
        self.show(result, text)
        return exit_code_of(sheet.gates, require_measured=sheet.require_measured)


def run_verb(call: Call, body: Callable[[], ExitCode | None]) -> ExitCode:
    """Run a verb's body and return the exit code."""

    def closed() -> ExitCode:
        try:
            return body() or ExitCode.OK
        finally:
            call.close()

    if call.options.debug:  # show tracebacks of errors that do not end the call
        log = logging.getLogger("edgecnn")
        log.setLevel(logging.DEBUG)
        log.addHandler(logging.StreamHandler())
    return guarded(lambda: call.job.run_watched(closed), as_json=call.options.as_json, debug=call.options.debug)


def verb(app: typer.Typer, name: str, *, short: str, takes: Takes = ()) -> Callable[[Body], Body]:
    """Make a function a verb of an app."""

    def register(body: Body) -> Body:
        app.command(name, help=_help(body, short), short_help=short)(_command_of(body, name, takes))
        return body

    return register


def family(app: typer.Typer, name: str, *, short: str) -> typer.Typer:
    """Make a group of verbs of an app, as in ``edgecnn store gc``."""
    group = typer.Typer(no_args_is_help=True, help=short)
    app.add_typer(group, name=name)
    return group


def group_action(group: typer.Typer, name: str, *, short: str, takes: Takes = ()) -> Callable[[Body], Body]:
    """Make a function the action of a group without a verb, as in ``edgecnn evidence --target cpu``."""

    def register(body: Body) -> Body:
        taking = _command_of(body, name, takes)

        def command(context: typer.Context, **values: Any) -> None:
            if context.invoked_subcommand is None:
                taking(**values)
                return
            group_options = [
                parameter.opts[0]
                for parameter in context.command.params
                if getattr(context.get_parameter_source(parameter.name or ""), "name", "") == "COMMANDLINE"
            ]
            if group_options:
                raise OPTIONS_BEFORE_VERB(command=f"edgecnn {name}", options=group_options, verb=context.invoked_subcommand)

        parameters = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
        parameters += inspect.signature(taking).parameters.values()
        _set_signature(command, parameters)
        group.callback(invoke_without_command=True, help=_help(body, short), short_help=short)(command)
        return body

    return register


def _help(body: Body, short: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (inspect.getdoc(body) or short).split("\n\n"))


def _command_of(body: Body, name: str, takes: Takes) -> Callable[..., None]:
    table = next((entry for entry in takes if isinstance(entry, type)), BuildOptions)
    rows = [row for row in rows_of(table) if row.group is SHOWN or row.group in takes or row.name in takes]
    return _command(body, rows, lambda values: Call(table(**values, verb=name), judges=JOB in takes))


def _command(body: Body, rows: list[Row], called: Callable[[dict[str, Any]], Call]) -> Callable[..., None]:
    """Return the function that typer calls. A parameter of the body replaces the table's option of the same name."""
    own = {parameter.name: parameter for parameter in list(inspect.signature(body, eval_str=True).parameters.values())[1:]}
    from_table = [row for row in rows if row.name not in own]

    def command(**values: Any) -> None:
        table_values = {row.name: values.pop(row.name) for row in from_table}
        lists = {row.name: tuple(table_values[row.name] or ()) for row in from_table if isinstance(row.default, tuple)}
        call = called({**table_values, **lists})
        raise typer.Exit(run_verb(call, lambda: body(call, **values)))

    every = [*(parameter for name, parameter in own.items() if name not in {row.name for row in rows})]
    keyword = inspect.Parameter.KEYWORD_ONLY
    for row in rows:
        default = None if isinstance(row.default, tuple) else row.default
        parameter = inspect.Parameter(row.name, keyword, default=default, annotation=row.annotation)
        every.append(own.get(row.name, parameter))
    parameters = [parameter.replace(kind=keyword) for parameter in every]
    return _set_signature(command, parameters)


def _set_signature(command: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """Return the function with these parameters as its signature, which typer reads."""
    command.__dict__["__signature__"] = inspect.Signature(parameters)
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
