"""What a page shows beside `edgecnn` commands holds too: recipes, device files, the runner's commands, extras and paths."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from edgecnn.devices.files import load_device_file
from edgecnn.devices.leases import Kind, ListedBoards
from edgecnn.planning.recipe import SCHEMA, load_recipe
from edgecnn.runner.__main__ import _parser
from edgecnn.sweeps.file import cells_of, read_sweep
from tests.errors.lines import rows
from tests.house.documents import documents, runner_commands_in, shell_lines, words_of
from tests.house.source_tree import ROOT

TOML = re.compile(r"^```toml\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
PAGES = [path.relative_to(ROOT).as_posix() for path in documents()]
BLOCKS = [(page, block) for page in PAGES for block in TOML.findall((ROOT / page).read_text(encoding="utf-8"))]
RUNNER = [(page, command) for page in PAGES for command in runner_commands_in(ROOT / page)]


@pytest.mark.parametrize("page, block", BLOCKS)
def test_a_file_that_a_page_shows_is_what_its_tables_say(page: str, block: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.toml"
    path.write_text(block, encoding="utf-8")
    table = tomllib.loads(block)
    if "processor" in table:
        assert load_device_file(path).name == table["name"]
    elif "grid" in table:
        assert len(cells_of(read_sweep(path))) == (4 if "boards" in table else 10)
    elif "board" in table:
        assert len(ListedBoards.read(path).of(Kind("raspberry-pi-5", ("fan",)))) == 2
    elif "schema" not in table:  # a part of a recipe
        path.write_text(f'schema = "{SCHEMA}"\n{block}', encoding="utf-8")
        assert load_recipe(path).model_fields_set >= table.keys()
    elif "fit" in table:
        assert load_recipe(path).fit.family == table["fit"]["family"]
    else:
        assert load_recipe(path).model.arch == table["model"]["arch"]


@pytest.mark.parametrize("page, command", RUNNER)
def test_a_command_of_the_runner_that_a_page_shows_is_one_that_it_takes(page: str, command: str) -> None:
    assert _parser().parse_args(words_of(command)).name in command


def test_pages_show_recipes_devices_and_commands_of_the_runner() -> None:
    assert {page for page, _ in BLOCKS} >= {"docs/howto/add-a-device.md", "docs/howto/gate-in-ci.md"}
    assert {words_of(command)[0] for _, command in RUNNER} >= {"selftest", "predict", "measure", "build-engine"}


def test_every_extra_that_a_page_installs_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    lines = [line for path in documents() for line in shell_lines(path) if "pip install" in line]
    named = {name for line in lines for match in re.findall(r"(?:edgecnn|\.)\[([a-z,-]+)\]", line) for name in match.split(",")}
    assert named >= {"all", "docs"}
    assert named - extras.keys() == set()


def test_every_path_that_a_page_tests_is_there() -> None:
    lines = [words_of(line) for path in documents() for line in shell_lines(path) if line.startswith("pytest ")]
    paths = [word for words in lines for word in words[1:] if word.startswith("tests")]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_path_of_the_repository_that_a_page_names_is_there() -> None:
    named = re.compile(r"`((?:edgecnn|tests|docs|devices|pipelines|benchmarks)/[\w./-]+)`")
    named_paths = [(page, path) for page in PAGES for path in named.findall((ROOT / page).read_text(encoding="utf-8"))]
    assert [page_and_path for page_and_path in named_paths if not (ROOT / page_and_path[1]).exists()] == []


def test_the_troubleshooting_page_names_references_that_exist() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`\[([a-z0-9-]+)\]`", page))
    assert named
    assert named - {row.ref for row in rows()} == set()
