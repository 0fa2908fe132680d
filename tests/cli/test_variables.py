"""Environment variables are read by one rule, and a variable that edgecnn does not know is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.installed import VARIABLES, is_off, is_offline, switch_value, unknown_variables

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("value", "is_on"), [
    ("1", True), ("true", True), ("TRUE", True), (" yes ", True), ("on", True),
    ("0", False), ("false", False), ("No", False), ("off", False), ("", False),
])  # fmt: skip
def test_a_switch_knows_on_and_off_words(monkeypatch: pytest.MonkeyPatch, value: str, is_on: bool) -> None:
    monkeypatch.setenv("EDGECNN_OFFLINE", value)
    assert (is_offline(), not is_off(value)) == (is_on, is_on)


def test_another_word_is_refused_for_a_switch_and_is_on_for_ci() -> None:
    with pytest.raises(EdgecnnError) as refusal:
        switch_value("EDGECNN_OFFLINE", {"EDGECNN_OFFLINE": "2"})
    assert (refusal.value.ref, refusal.value.fields["value"]) == ("variable-invalid", "2")
    assert not is_off("woodpecker")


def test_an_unknown_variable_is_named_with_the_nearest_one() -> None:
    names = {"EDGECNN_OFLINE": "1", "EDGECNN_STORE_REMOT": "x", "EDGECNN_ZZZ": "", "OFFLINE": "1", "EDGECNN_SPAWNED_NS": "1"}
    nearest = {"EDGECNN_OFLINE": "EDGECNN_OFFLINE", "EDGECNN_STORE_REMOT": "EDGECNN_STORE_REMOTE"}
    unknown = unknown_variables(names)
    assert {name: unknown[name] for name in nearest} == nearest
    assert set(unknown) == {*nearest, "EDGECNN_ZZZ"}


def test_every_variable_in_the_code_is_in_the_table() -> None:
    files = [ROOT / ".ci" / "run", *(ROOT / "edgecnn").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    named = {name for file in files if file.name != Path(__file__).name for name in _NAMES.findall(file.read_text("utf-8"))}
    assert named - {"EDGECNN_"} == set(VARIABLES)


_NAMES = re.compile(r"(?<![A-Z_])EDGECNN_[A-Z_]+")


def test_no_module_compares_the_value_of_a_variable_itself() -> None:
    compared = re.compile(r"environ[^\n]*EDGECNN_[A-Z_]+\"[^\n]*==")
    files = (file for file in (ROOT / "edgecnn").rglob("*.py"))
    assert [file.name for file in files if compared.search(file.read_text("utf-8"))] == []


def test_every_command_refuses_a_bad_switch_and_warns_about_an_unknown_name(tmp_path: Path) -> None:
    environment = {**os.environ, "EDGECNN_STORE": str(tmp_path), "EDGECNN_OFFLINE": "maybe", "EDGECNN_OFLINE": "1"}
    command = [sys.executable, "-m", "edgecnn", "store", "list"]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (refused.returncode, "[variable-invalid]" in refused.stderr) == (2, True)
    warned = subprocess.run(command, env={**environment, "EDGECNN_OFFLINE": "off"}, capture_output=True, text=True, check=False)
    assert (warned.returncode, "EDGECNN_OFFLINE" in warned.stderr) == (0, True)
