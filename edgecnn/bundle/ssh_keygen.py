"""Signatures by the user's OpenSSH, in its own format (SSHSIG, PROTOCOL.sshsig of OpenSSH 8.1 and later).

The namespace keeps a signature that was made for another purpose, such as a git commit, from passing for a bundle's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.errors.base import system_reason
from edgecnn.errors.bundle import (
    KEY_UNUSABLE,
    SIGNATURE_REFUSED,
    SSH_KEYGEN_MISSING,
    signers_unreadable,
)
from edgecnn.runner.files import bounded_content, open_regular

NAMESPACE: Final = "edgecnn-bundle"
EVIDENCE: Final = "edgecnn-evidence"
"""A bundle's signature passes for no record of evidence, nor the other way round."""
_PROBE: Final = "edgecnn-probe"
"""A probe's signature passes for no bundle's."""
SIGNATURE_BYTES_MAX: Final = 64 << 10
"""An RSA key of 16,384 bits makes less than a tenth of that."""
_KEY_BYTES_MAX: Final = 1 << 20
"""``ssh-keygen`` reads the file to its end, whatever is in it."""
_SIGNERS_BYTES_MAX: Final = 4 << 20
_KEY: Final = re.compile(rb"SHA256:[A-Za-z0-9+/]+")
_NO_REASONS: Final = ("Signing data on", "Enter passphrase", "@")
_TIMEOUT_S: Final = 60.0
"""Of verifying, which asks nobody; signing may wait for a passphrase or a touch."""


def ssh_keygen() -> str:
    """Where it lies. Raises SshKeygenMissing: nowhere."""
    path = shutil.which("ssh-keygen")
    if path is None:
        raise SSH_KEYGEN_MISSING()
    return path


def check_key(key: Path) -> None:
    """Refuse, before any time is spent, a key that nothing could be signed with: something is signed with it.

    A passphrase is asked for, and the agent may want a touch, as they will be when the bundle is signed.

    Raises SshKeygenMissing: it is not installed. KEY_UNUSABLE: the file cannot be read, or ssh-keygen refuses it.
    """
    _signed(b"", key, _PROBE)


def check_readable(key: Path) -> None:
    """The part of ``check_key`` that asks nobody for anything.

    Raises SshKeygenMissing: it is not installed. KEY_UNUSABLE: the file cannot be read, or is larger than any key.
    """
    ssh_keygen()
    try:
        open_regular(key, _KEY_BYTES_MAX).close()
    except OSError as error:
        raise KEY_UNUSABLE(key=key, because=system_reason(error)) from error


class Signed(NamedTuple):
    """Bytes with what is said to be their signature."""

    content: bytes
    signature: bytes
    namespace: str = NAMESPACE


def sign(content: bytes, key: Path, namespace: str = NAMESPACE) -> str:
    """The armored signature of ``content``; a passphrase is asked for on the terminal, and keys in the agent serve by their .pub.

    Raises SshKeygenMissing, KEY_UNUSABLE: see ``check_key``; KEY_UNUSABLE too where ssh-keygen refuses.
    """
    return _signed(content, key, namespace)


def _signed(content: bytes, key: Path, namespace: str) -> str:
    check_readable(key)
    process = _run(["-Y", "sign", "-n", namespace, "-f", str(key)], content, timeout_s=None)
    if process.returncode != 0 or not process.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise KEY_UNUSABLE(key=key, because=_reason(process))
    return process.stdout.decode("ascii")


def key_of(path: Path, signed: Signed) -> str:
    """The SHA-256 of the key that made a signature, as ``ssh-keygen -l`` prints it, once it is known to be of these bytes.

    Whose key that is nobody says: another one would be as good.

    Raises SshKeygenMissing: it is not installed. SIGNATURE_REFUSED: of another namespace, or of other bytes.
    """
    with _signature_file(signed.signature) as file:
        words = ["-Y", "check-novalidate", "-n", signed.namespace, "-s", str(file)]
        process = _run(words, signed.content, timeout_s=_TIMEOUT_S)
    key = _KEY.search(process.stdout)
    if process.returncode != 0 or not process.stdout.startswith(b'Good "') or key is None:
        raise SIGNATURE_REFUSED(path=path, because=_reason(process))
    return key[0].decode("ascii")


def signer_of(path: Path, signed: Signed, signers: Path, identity: str | None) -> str:
    """Whose signature it is, once it is known to be good.

    ``path``: of what is signed, for people. ``signers``: a file as ``ssh-keygen(1)`` describes it under ALLOWED SIGNERS.
    ``identity``: whose it must be; None: anybody's in that file.

    Raises:
        SshKeygenMissing: it is not installed.
        SIGNERS_UNREADABLE: ``signers`` cannot be read.
        SIGNATURE_REFUSED: of an unknown key, of another namespace, or of other bytes.
    """
    ssh_keygen()
    try:
        bounded_content(signers, _SIGNERS_BYTES_MAX)
    except OSError as error:
        raise signers_unreadable(file=signers, because=system_reason(error), namespace=signed.namespace) from error
    with _signature_file(signed.signature) as file:
        names = [identity] if identity is not None else _principals(path, file, signers)
        for name in names:
            words = ["-Y", "verify", "-n", signed.namespace, "-f", str(signers), "-I", name, "-s", str(file)]
            process = _run(words, signed.content, timeout_s=_TIMEOUT_S)
            if process.returncode == 0 and process.stdout.startswith(b'Good "'):
                return name
    raise SIGNATURE_REFUSED(path=path, because=_reason(process))


def _principals(path: Path, signature: Path, signers: Path) -> Sequence[str]:
    process = _run(["-Y", "find-principals", "-f", str(signers), "-s", str(signature)], b"", timeout_s=_TIMEOUT_S)
    names = process.stdout.decode("utf-8", "replace").split("\n")
    principals = [name for line in names for name in line.split(",") if name]
    if process.returncode != 0 or not principals:
        raise SIGNATURE_REFUSED(path=path, because=f"of nobody in {signers} ({_reason(process)})")
    return principals


def _run(words: Sequence[str], content: bytes, *, timeout_s: float | None) -> subprocess.CompletedProcess[bytes]:
    surroundings = {**os.environ, "LC_ALL": "C"}
    command = [ssh_keygen(), *words]
    try:
        return subprocess.run(command, input=content, capture_output=True, env=surroundings, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, b"", f"no answer within {timeout_s:g} s".encode())


@contextmanager
def _signature_file(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        path = Path(folder) / "signature"
        path.write_bytes(content)
        yield path


def _reason(process: subprocess.CompletedProcess[bytes]) -> str:
    """The first line that gives a reason."""
    lines = (process.stderr + b"\n" + process.stdout).decode("utf-8", "replace").split("\n")
    reasons = [line.strip() for line in lines if line.strip() and not line.startswith(_NO_REASONS)]
    return reasons[0][:300] if reasons else f"ssh-keygen ended with {process.returncode}"
