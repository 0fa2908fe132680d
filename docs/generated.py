"""The tables of docs/reference and of the glossary, made from the code. A test compares them.

``python -m docs.generated`` writes them, with the rooms of docs/architecture.md and the operators for LiteRT.

A page keeps its own words. The text of a function in ``TEXTS`` goes between ``<!-- NAME -->`` and ``<!-- end NAME -->``.
"""

from __future__ import annotations

import ast
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import edgecnn.errors
from benchmarks.marked_sections import put
from docs import litert_operators, rooms
from edgecnn.devices.files import load_devices
from edgecnn.errors.base import EXIT_MEANINGS, ErrorRow
from edgecnn.judging.metrics import COMPARED, METRICS
from edgecnn.models.catalogue import all_archs
from edgecnn.render.figures import multiply_adds
from edgecnn.render.page.words import OWN, SOURCES, Word
from edgecnn.render.screens.networks import percent
from edgecnn.values.arch import listed
from edgecnn.values.device import Accelerator, Device, FactsOnly, Match, Memory, Processor, RuntimeFacts
from edgecnn.values.recipe import Recipe

DOCS = Path(__file__).parent
SCHEMAS = DOCS / "schemas"
_SUBCOMMAND = re.compile(r"^\* `([a-z][a-z-]*)`: .*$", flags=re.MULTILINE)
_USAGE = re.compile(r"\*\*Usage\*\*:\n\n```console\n\$ (.*)\n```")
_EXAMPLES = re.compile(r"(?:^  edgecnn .*\n)+", flags=re.MULTILINE)


def pages() -> Mapping[Path, str]:
    """The text that each page with generated tables should have."""
    return {DOCS / f"{name}.md": _renewed(DOCS / f"{name}.md", sections) for name, sections in SECTIONS.items()}


def command_line() -> str:
    """Return every command with its options, from typer's own documentation. Its lists of subcommands become links."""
    command = [sys.executable, "-m", "typer", "edgecnn.cli.main", "utils", "docs", "--name", "edgecnn"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    sections = re.split(r"(?m)^#+ `(edgecnn[^`]*)`$", done.stdout)[1:]
    return "\n\n".join(_section(name, body) for name, body in zip(sections[::2], sections[1::2], strict=True))


def own_words() -> str:
    """Return the words of edgecnn with their definitions."""
    return _words(OWN)


def sources() -> str:
    """Return the words that say where a figure comes from."""
    return _words(SOURCES)


def _words(words: Iterable[Word]) -> str:
    return _table(("word", "meaning"), ((word.term, word.meaning) for word in words))


def exit_codes() -> str:
    """Return the exit codes with the meanings that ``--help`` prints."""
    rows = ((str(int(code)), f"`{code.name}`", about.meaning) for code, about in EXIT_MEANINGS.items())
    return _table(("code", "name", "meaning"), rows)


def verdict_exit_codes() -> str:
    """Return the exit codes of verdicts, and what to do in a CI job."""
    rows = ((str(int(code)), about.verdict, str(about.remedy)) for code, about in EXIT_MEANINGS.items() if about.verdict)
    return _table(("exit code", "verdict", "do this"), rows)


def recipe() -> str:
    """Return every table of a recipe with its keys."""
    parts = []
    for table, field in Recipe.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            parts.append(f"## `[{table}]`\n\n{_about(field.annotation)}\n\n{_keys(field.annotation)}")
    return "\n\n".join(parts)


def device() -> str:
    """Return every table of a device file with its keys."""
    named: Mapping[str, type[BaseModel]] = {
        "[match]": Match,
        "[processor]": Processor,
        "[accelerator]": Accelerator,
        "[memory]": Memory,
        "[runtimes.NAME]": RuntimeFacts,
        "[facts_only]": FactsOnly,
    }
    top = f"## At the top\n\n{_keys(Device, without=('match', 'processor', 'accelerator', 'memory', 'runtimes', 'facts_only'))}"
    return "\n\n".join([top, *(f"## `{name}`\n\n{_about(model)}\n\n{_keys(model)}" for name, model in named.items())])


def metrics() -> str:
    """Return the metrics that a gate can bound, of one build and in a comparison."""
    rows = (
        (
            f"`{metric.name}`",
            "`--max`" if metric.better == "lower" else "`--min`",
            metric.unit,
            metric.source,
            "yes" if metric.name in METRICS else "no",
            "yes" if metric.name in COMPARED else "no",
        )
        for metric in {**METRICS, **COMPARED}.values()
    )
    return _table(("metric", "bound", "unit", "judged by", "of one build", "with `--against`"), rows)


def networks() -> str:
    """Return the networks of the catalogue, in its order."""
    rows = (
        (
            f"`{spec.name}`",
            str(row.year),
            f"{row.parameters:,}",
            multiply_adds(row.macs),
            str(row.depth),
            f"{row.weights_mib:.1f}",
            f"{row.resolution_px} px",
            f"{row.least_px} px",
            percent(row.accuracy_top1),
            percent(row.accuracy_top5),
            row.accuracy_source or "no published figure",
            spec.weights.licence if spec.weights else "none",
            row.paper,
        )
        for spec, row in ((spec, listed(spec)) for spec in all_archs())
    )
    costs = ("parameters", "multiply-adds", "depth", "fp32 MiB", "native", "least")
    published = ("top-1 %", "top-5 %", "published by", "licence of the pretrained weights", "paper")
    return _table(("name", "year", *costs, *published), rows)


def devices() -> str:
    """Return every shipped device."""
    rows = (
        (
            f"`{device.name}`",
            ", ".join(f"`{alias}`" for alias in device.aliases) or "–",
            device.title,
            device.role,
            ", ".join(f"{runtime.value} {facts.versions}" for runtime, facts in device.runtimes.items()),
        )
        for device in load_devices().values()
    )
    return _table(("name", "also", "what it is", "role", "runtimes"), rows)


def schemas() -> str:
    """Return every published JSON Schema."""
    files = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(SCHEMAS.glob("*.json"))}
    rows = ((f"[{name}](../schemas/{name})", schema["description"]) for name, schema in files.items())
    return _table(("schema", "describes"), rows)


def errors() -> str:
    """Return every error with its reference and exit code."""
    modules = [import_module(module.name) for module in pkgutil.walk_packages(edgecnn.errors.__path__, "edgecnn.errors.")]
    declared = {value.ref: value for module in modules for value in vars(module).values() if isinstance(value, ErrorRow)}
    rows = ((f"`{ref}`", str(int(row.exit_code)), _when(row)) for ref, row in sorted(declared.items()))
    return _table(("reference", "exit code", "when"), rows)


SECTIONS: Mapping[str, tuple[Callable[[], str], ...]] = {
    "concepts/words": (own_words, sources),
    "howto/gate-in-ci": (verdict_exit_codes,),
    "reference/command-line": (exit_codes, command_line),
    "reference/recipe": (recipe,),
    "reference/device": (device,),
    "reference/metrics": (metrics,),
    "reference/catalogue": (networks, devices),
    "reference/schemas": (schemas,),
    "reference/errors": (errors,),
}
"""The functions whose text each page shows."""


# ---------------------------------------------------------------------------------------------------------------------


def _renewed(page: Path, sections: Iterable[Callable[[], str]]) -> str:
    text = page.read_text(encoding="utf-8")
    for section in sections:
        text = put(text, section.__name__.replace("_", "-"), f"\n{section()}\n")
    return text


def _section(name: str, body: str) -> str:
    depth = "##" if name.count(" ") < 2 else "###"
    body = _SUBCOMMAND.sub(lambda match: f"* [`{match[1]}`](#{_anchor(name, match[1])})", body.strip())
    body = _USAGE.sub(lambda match: f"**Usage**: `{match[1]}`", body)
    body = _EXAMPLES.sub(lambda match: f"```bash\n{textwrap.dedent(match[0])}```\n", body)
    return f"{depth} `{name}`\n\n" + re.sub(r"\n{3,}", "\n\n", body)


def _anchor(*words: str) -> str:
    return "-".join(words).replace(" ", "-")


def _when(row: ErrorRow) -> str:
    """The docstring of the error's class, or the first part of its message with its fields in capitals."""
    if getattr(row.kind, "ref", None) == row.ref:
        return _about(row.kind)
    return re.sub(r"\{(\w+)[^}]*\}", lambda field: field[1].upper(), row.what)


def _keys(model: type[BaseModel], without: Iterable[str] = ()) -> str:
    described = model.model_json_schema()
    names, required, docstrings = described.get("$defs", {}), described.get("required", ()), _field_docstrings(model)
    rows = (
        (f"`{name}`", _kind(schema, names), _default(schema, name in required), docstrings.get(name, ""))
        for name, schema in described["properties"].items()
        if name not in without
    )
    return _table(("key", "value", "default", "what it is"), rows)


def _kind(schema: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    """A JSON Schema in a few words."""
    if "$ref" in schema:
        return _kind(names[schema["$ref"].rpartition("/")[2]], names)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(option, names) for option in schema["anyOf"] if option.get("type") != "null")
    if "items" in schema:
        return f"list of {_kind(schema['items'], names)}"
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])}, each {_kind(schema['prefixItems'][0], names)}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        key, value = schema.get("propertyNames", {"type": "name"}), schema["additionalProperties"]
        return f"table: {_kind(key, names)} to {_kind(value, names)}"
    if schema.get("type") == "object":
        return "table"
    ends = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = ", ".join(f"{sign} {schema[end]:g}" for end, sign in ends.items() if end in schema)
    return f"{schema.get('type', 'any')} {bounds}".strip()


def _default(schema: Mapping[str, Any], required: bool) -> str:
    if required:
        return "required"
    value = schema.get("default")
    return "unset" if value is None else f"`{json.dumps(value)}`"


def _field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The string below each field, in the class and in its bases."""
    docstrings: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if not issubclass(owner, BaseModel) or owner is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, after in zip(body.body, body.body[1:], strict=False):
            text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, str):
                docstrings[field.target.id] = inspect.cleandoc(text)
    return docstrings


def _about(kind: type) -> str:
    return (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = tuple(columns)
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


if __name__ == "__main__":
    everything = {
        **pages(),
        rooms.PAGE: rooms.page(),
        rooms.DRAWING: rooms.drawing(),
        litert_operators.PAGE: litert_operators.page(),
    }
    for path, text in everything.items():
        path.write_text(text, encoding="utf-8")
