"""A stage's revision is raised by hand when its code would make other bytes, and a hand forgets. This remembers for it.

``tests/revisions.lock`` holds, for every stage, its revision and a digest of each module of ours that it reaches. Of the stage's
own module, only the stage's class and the definitions that it uses count, because several stages share a file. A digest ignores
comments, docstrings and layout, which change no bytes. After a change, either the revision is raised or somebody says that the
bytes are the same; both end with

    python -m tests.house.revisions --record
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module

from edgecnn.values.stage import Stage
from tests.house.source_tree import ROOT, modules, syntax

LOCK = ROOT / "tests" / "revisions.lock"
REMEDY = "bump the revision, or record that the bytes are unchanged: python -m tests.house.revisions --record"
NEVER_BINDS_BYTES = ("edgecnn.errors",)
"""What an error says is not in any artifact."""
REACHES_ALL_OF = {"edgecnn.runtimes.registry": "edgecnn.runtimes"}
"""Modules that import by a name they put together, which the syntax does not show."""

Lock = Mapping[str, Mapping[str, object]]


def stages() -> dict[str, type[Stage]]:
    """Every kind of stage, from the modules of ``edgecnn.stages``."""
    for name in modules():
        if name.startswith("edgecnn.stages."):
            import_module(name)
    return {kind.kind: kind for kind in _descendants(Stage) if kind.__module__.startswith("edgecnn.stages.")}


def _descendants(parent: type[Stage]) -> Iterator[type[Stage]]:
    for child in parent.__subclasses__():
        yield from _descendants(child)
        if "kind" in vars(child):
            yield child


def reached(stage: type[Stage]) -> list[str]:
    """Modules of ours that a stage can reach: by import, at any depth of their code, or by a name in a text."""
    seen = {stage.__module__}
    waiting = _named_in_nodes(stage.__module__, used_by(stage))
    while waiting:
        name = waiting.pop()
        if name in seen or name.startswith(NEVER_BINDS_BYTES):
            continue
        seen.add(name)
        waiting += _named_in(name)
        waiting += [each for each in modules() if name in REACHES_ALL_OF and each.startswith(f"{REACHES_ALL_OF[name]}.")]
    return sorted(seen)


def used_by(stage: type[Stage]) -> list[ast.stmt]:
    """Statements that a stage uses in its module, in their order: definitions and imports.

    The stage's class counts, and so do its subclasses of the same kind.
    """
    statements: dict[str, list[ast.stmt]] = {}
    for statement in syntax(modules()[stage.__module__]).body:
        for name in _bound_by(statement):
            statements.setdefault(name, []).append(statement)
    used: list[ast.stmt] = []
    of_kind = [stage, *(child for child in stage.__subclasses__() if "kind" not in vars(child))]
    waiting = [statement for each in of_kind for statement in statements[each.__name__]]
    while waiting:
        statement = waiting.pop()
        if statement not in used:
            used.append(statement)
            names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
            waiting += [other for name in names for other in statements.get(name, ())]
    return sorted(used, key=lambda statement: statement.lineno)


def _bound_by(statement: ast.stmt) -> set[str]:
    if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return {statement.name}
    nodes = list(ast.walk(statement))
    imported = {node.asname or node.name.partition(".")[0] for node in nodes if isinstance(node, ast.alias)}
    return imported | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


@cache
def _named_in(name: str) -> tuple[str, ...]:
    return tuple(_named_in_nodes(name, [syntax(modules()[name])]))


def _named_in_nodes(name: str, nodes: Iterable[ast.AST]) -> list[str]:
    package = name if modules()[name].name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in (below for top in nodes for below in ast.walk(top)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            found |= {source, *(f"{source}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("edgecnn."):
            found.add(node.value)
    return sorted(found & modules().keys() - {"edgecnn", "edgecnn.runner", name})


def digest(code: ast.AST | list[ast.stmt]) -> str:
    """16 hexadecimal digits over code without comments, docstrings and layout."""
    return hashlib.sha256(_shape(code).encode()).hexdigest()[:16]


def _shape(node: object) -> str:
    """The syntax without places, comments and docstrings; empty fields are left out, since Python versions differ in them."""
    if isinstance(node, list):
        return f"[{','.join(_shape(each) for each in node)}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    fields.pop("kind", None)
    fields.pop("type_comment", None)
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        fields["body"] = [each for each in node.body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
    return f"{type(node).__name__}({','.join(f'{name}={_shape(value)}' for name, value in fields.items())})"


def present() -> dict[str, dict[str, object]]:
    """The lock as the tree has it now."""
    return {
        kind: {"revision": stage.revision, "modules": {name: _digest_for(stage, name) for name in reached(stage)}}
        for kind, stage in sorted(stages().items())
    }


def _digest_for(stage: type[Stage], name: str) -> str:
    return digest(used_by(stage) if name == stage.__module__ else syntax(modules()[name]))


def differences(locked: Lock, now: Lock) -> list[str]:
    """One line for each stage whose code or revision is not the recorded one."""
    found = []
    for kind in sorted({*locked, *now}):
        old, new = locked.get(kind), now.get(kind)
        if old is None or new is None:
            found.append(f"{kind}: {'is not recorded' if old is None else 'is recorded but gone'}")
        elif old["revision"] != new["revision"]:
            found.append(f"{kind}: revision {old['revision']} is recorded, the code says {new['revision']}")
        elif changed := _changed(old["modules"], new["modules"]):
            found.append(f"{kind}: revision is still {new['revision']}, but changed {', '.join(changed)}")
    return found


def _changed(old: object, new: object) -> list[str]:
    assert isinstance(old, dict) and isinstance(new, dict)
    return [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def main() -> int:
    """``--record`` writes the lock; without it, differences are listed."""
    if "--record" in sys.argv[1:]:
        LOCK.write_text(json.dumps(present(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"recorded {len(present())} stages in {LOCK.relative_to(ROOT)}")
        return 0
    found = differences(json.loads(LOCK.read_text(encoding="utf-8")), present())
    print("\n".join([*found, REMEDY] if found else ["every stage is as recorded"]))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
