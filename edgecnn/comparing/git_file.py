"""A small file as it stood at a revision of the repository around the current folder, by the user's own git.

``git:REVISION:PATH`` counts PATH from the repository's top, as git does, and ``./PATH`` from the current folder. Nothing goes
through a shell, and no revision can be taken for an option.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from edgecnn.errors.comparing import GitFailed, RevisionMisspelt
from edgecnn.errors.wording import shell_word
from edgecnn.runner.causes.known import cause_in

PREFIX = "git:"
LARGEST = 1024 * 1024
"""Bytes: a record has some ten thousand."""
_TIMEOUT_S = 60.0
_OF_ANOTHER_OWNER = ("dubious ownership", "unsafe repository")
"""What git 2.36 and later, and git 2.35, call a repository of another user: its exit code is that of every refusal."""
_FETCH = "a shallow checkout has one commit alone: git fetch origin REVISION, or fetch-depth: 0 of actions/checkout"


class GitFile(NamedTuple):
    """What was read."""

    content: bytes
    folder: Path
    """Where the file lies, or lay, in this checkout."""


def read_at_revision(text: str) -> GitFile:
    """The file that ``git:REVISION:PATH`` names.

    Raises:
        RevisionMisspelt: the text names no revision, or no path.
        GitFailed: git is not installed, there is no repository, or another user's, no such revision, no such file there, or it is
            too large or a Git LFS pointer.
    """
    revision, path = _parts(text)
    top = _git(text, "rev-parse", "--show-toplevel", hint="run this inside the repository that holds the record")
    commit = _git(text, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", said=f"there is no revision {revision!r}")
    there = f"{commit}:{path}"
    absent = f"{revision} has no {path}"
    kind = _git(text, "cat-file", "-t", there, said=absent, hint="name a file that is committed there")
    if kind != "blob":
        raise GitFailed(text=text, because=f"{path} is no file there but a {kind}", hint="name the record's own file")
    size = int(_git(text, "cat-file", "-s", there, said=absent))
    if size > LARGEST:
        because = f"it has {size:,} bytes, and a record has at most {LARGEST:,}"
        raise GitFailed(text=text, because=because, hint="name a file that edgecnn baseline pin wrote")
    content = _run(text, "show", "--no-textconv", "--no-ext-diff", there)
    if content.returncode != 0:
        raise GitFailed(text=text, because=_first_line(content.stderr), hint=None)
    if (cause := cause_in(content.stdout)) is not None:  # what a revision holds of such a file stays a pointer
        raise GitFailed(text=text, because=cause.why, hint=f"git lfs untrack {shell_word(path)}, then commit the record again")
    beginning = Path.cwd() if path.startswith("./") else Path(top)
    return GitFile(content=content.stdout, folder=beginning / PurePosixPath(path).parent)


def _parts(text: str) -> tuple[str, str]:
    revision, colon, path = text.removeprefix(PREFIX).partition(":")
    if not colon or not revision.strip() or not path.strip():
        raise RevisionMisspelt(text=text, because="a revision, a colon and a path must follow git:")
    if revision.startswith("-"):
        raise RevisionMisspelt(text=text, because="a revision does not begin with a hyphen")
    if "\0" in text or "\n" in text:
        raise RevisionMisspelt(text=text, because="it holds a sign that no path has")
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise RevisionMisspelt(text=text, because="the path counts from the repository's top, or with ./ from this folder")
    return revision, path


def _git(text: str, *words: str, said: str | None = None, hint: str | None = _FETCH) -> str:
    done = _run(text, *words)
    if done.returncode != 0:
        because = _first_line(done.stderr)
        if any(word in because for word in _OF_ANOTHER_OWNER):
            top = next((each for each in (Path.cwd(), *Path.cwd().parents) if (each / ".git").exists()), Path.cwd())
            hint = f"git config --global --add safe.directory {shell_word(top)}"
            raise GitFailed(text=text, because=because, hint=hint)
        raise GitFailed(text=text, because=said or because, hint=hint)
    return os.fsdecode(done.stdout).rstrip("\n")


def _run(text: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    quiet = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat"}
    git = shutil.which("git")
    if git is None:
        raise GitFailed(text=text, because="git is not installed", hint="install git, or give the record's file")
    try:
        return subprocess.run(
            [git, *words],
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except (OSError, ValueError) as error:
        raise GitFailed(text=text, because=str(error), hint=None) from error
    except subprocess.TimeoutExpired:
        raise GitFailed(text=text, because=f"git {words[0]} did not end within {_TIMEOUT_S:g} s", hint=None) from None


def _first_line(stderr: bytes) -> str:
    """The line that names the fault: git puts warnings before it, and advice after it."""
    lines = stderr.decode("utf-8", errors="replace").strip().splitlines() or ["git said nothing"]
    return next((line for line in lines if line.startswith("fatal: ")), lines[0]).removeprefix("fatal: ")
