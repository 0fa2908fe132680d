"""A record as it stood at a revision, by real git in a real repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgecnn.comparing.pin import LARGEST, read_at_revision
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.comparing import GIT_FAILED, REVISION_MISSPELT
from tests.runner.causes.test_known import POINTER


def git(folder: Path, *words: str) -> None:
    named = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *named, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits of gates/base.json, the first one tagged v1; the tests stand in its top folder."""
    top = tmp_path / "repo"
    (top / "gates").mkdir(parents=True)
    git(tmp_path, "init", "-q", str(top))
    for content, tag in ((b"one\n", "v1"), (b"two\r\n\xff", "v2")):
        (top / "gates" / "base.json").write_bytes(content)
        git(top, "add", "-A")
        git(top, "commit", "-qm", tag)
        git(top, "tag", tag)
    monkeypatch.chdir(top)
    return top


def test_it_is_read_byte_for_byte_as_it_stood(repository: Path) -> None:
    (repository / "gates" / "base.json").write_bytes(b"edited since")
    assert read_at_revision("git:v1:gates/base.json").content == b"one\n"
    assert read_at_revision("git:HEAD:gates/base.json").content == b"two\r\n\xff"
    assert read_at_revision("git:HEAD~1:gates/base.json") == (b"one\n", repository / "gates")


def test_a_path_counts_from_the_top_or_with_a_dot_from_here(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "gates")
    assert read_at_revision("git:v1:gates/base.json") == (b"one\n", repository / "gates")
    assert read_at_revision("git:v1:./base.json") == (b"one\n", repository / "gates")
    with pytest.raises(EdgecnnError, match=r"v1 has no base\.json", check=GIT_FAILED.made):
        read_at_revision("git:v1:base.json")


@pytest.mark.parametrize(
    "text",
    ["git:", "git:HEAD", "git::a", "git:HEAD:", "git: :a", "git:--output=x:a", "git:-p:a", "git:HEAD:/etc/passwd",
     "git:HEAD:../a", "git:HEAD:a\nb", "git:HEAD:a\0b"],
)  # fmt: skip
def test_what_names_no_record_is_refused_before_git_is_asked(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EdgecnnError, check=REVISION_MISSPELT.made):
        read_at_revision(text)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("git:nowhere:gates/base.json", "there is no revision 'nowhere' — a shallow checkout has only one commit"),
        ("git:HEAD:nothing.json", "HEAD has no nothing.json"),
        ("git:HEAD:gates", "gates is a tree and not a file"),
        ("git:HEAD:$(touch hacked);x", "HEAD has no $(touch hacked);x"),
    ],
)
def test_what_git_does_not_have_is_said(repository: Path, text: str, because: str) -> None:
    with pytest.raises(EdgecnnError, check=GIT_FAILED.made) as refused:
        read_at_revision(text)
    assert because in str(refused.value)
    assert not (repository / "hacked").exists()


def test_a_huge_file_is_refused_before_it_is_read(repository: Path) -> None:
    (repository / "huge").write_bytes(b"x" * (LARGEST + 1))
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "huge")
    with pytest.raises(EdgecnnError, match="it has 1,048,577 bytes, and a record has at most 1,048,576", check=GIT_FAILED.made):
        read_at_revision("git:HEAD:huge")


def test_outside_a_repository_and_without_git_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgecnnError, match="not a git repository", check=GIT_FAILED.made):
        read_at_revision("git:HEAD:a")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EdgecnnError, match="git is not installed", check=GIT_FAILED.made):
        read_at_revision("git:HEAD:a")


def test_a_repository_of_another_owner_is_named_with_the_command_that_admits_it(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for its tests
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    with pytest.raises(EdgecnnError, check=GIT_FAILED.made) as refused:
        read_at_revision("git:v1:gates/base.json")
    assert refused.value.line() == (
        f"git:v1:gates/base.json cannot be read: detected dubious ownership in repository at '{repository}'"
        f" — git config --global --add safe.directory {repository} [git-failed]"
    )
    subprocess.run(str(refused.value.hint), shell=True, check=True)  # noqa: S602 - as a user would paste it
    assert read_at_revision("git:v1:gates/base.json").content == b"one\n"


def test_a_record_that_is_committed_as_a_git_lfs_pointer_is_named(repository: Path) -> None:
    (repository / "gates" / "base.json").write_bytes(POINTER)
    git(repository, "commit", "-aqm", "lfs")
    with pytest.raises(
        EdgecnnError,
        match="it is a Git LFS pointer, not the file itself — git lfs untrack gates/base.json, then",
        check=GIT_FAILED.made,
    ):
        read_at_revision("git:HEAD:gates/base.json")
