"""Sign and verify with the user's OpenSSH, in its own format (SSHSIG, PROTOCOL.sshsig of OpenSSH 8.1 and later).

The namespace keeps a signature for another purpose, such as a git commit, from being valid for a bundle.
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
"""Separate from ``NAMESPACE``, so that a bundle's signature is not valid for a record of evidence, nor the reverse."""
_PROBE: Final = "edgecnn-probe"
"""A probe's signature is not valid for a bundle."""
SIGNATURE_BYTES_MAX: Final = 64 << 10
"""A signature of a 16,384-bit RSA key has less than a tenth of that."""
_KEY_BYTES_MAX: Final = 1 << 20
"""Largest key file. ``ssh-keygen`` reads the whole file, whatever its content."""
_SIGNERS_BYTES_MAX: Final = 4 << 20
_KEY: Final = re.compile(rb"SHA256:[A-Za-z0-9+/]+")
_NO_REASONS: Final = ("Signing data on", "Enter passphrase", "@")
_TIMEOUT_S: Final = 60.0
"""Time limit of a verification. Signing has none, because it may wait for a passphrase or a touch."""


def ssh_keygen() -> str:
    """Return the path of ssh-keygen. Raises SshKeygenMissing."""
    path = shutil.which("ssh-keygen")
    if path is None:
        raise SSH_KEYGEN_MISSING()
    return path


def check_key(key: Path) -> None:
    """Sign a probe, to refuse an unusable key before any long work.

    ssh-keygen may ask for a passphrase, and the agent for a touch, as they do for the bundle later.

    Raises SshKeygenMissing: it is not installed. KEY_UNUSABLE: the file cannot be read, or ssh-keygen refuses it.
    """
    sign(b"", key, _PROBE)


def check_readable(key: Path) -> None:
    """Check a key without asking for a passphrase.

    Raises SshKeygenMissing: it is not installed. KEY_UNUSABLE: the file cannot be read, or is too large for a key.
    """
    ssh_keygen()
    try:
        open_regular(key, _KEY_BYTES_MAX).close()
    except OSError as error:
        raise KEY_UNUSABLE(key=key, because=system_reason(error)) from error


class Signed(NamedTuple):
    """Bytes and their alleged signature."""

    content: bytes
    signature: bytes
    namespace: str = NAMESPACE


def sign(content: bytes, key: Path, namespace: str = NAMESPACE) -> str:
    """Return the armored signature of ``content``. ssh-keygen may ask for a passphrase on the terminal.

    ``key``: a private key, or the ``.pub`` file of a key in the agent.

    Raises SshKeygenMissing, KEY_UNUSABLE: see ``check_key``.
    """
    check_readable(key)
    process = _run(["-Y", "sign", "-n", namespace, "-f", str(key)], content, timeout_s=None)
    if process.returncode != 0 or not process.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise KEY_UNUSABLE(key=key, because=_reason(process))
    return process.stdout.decode("ascii")


def key_of(path: Path, signed: Signed) -> str:
    """Verify a signature for any key, and return the key's SHA-256 as ``ssh-keygen -l`` prints it.

    The owner of the key is not checked.

    Raises SshKeygenMissing: it is not installed. SIGNATURE_REFUSED: another namespace, or other bytes.
    """
    with _signature_file(signed.signature) as file:
        arguments = ["-Y", "check-novalidate", "-n", signed.namespace, "-s", str(file)]
        process = _run(arguments, signed.content, timeout_s=_TIMEOUT_S)
    key = _KEY.search(process.stdout)
    if process.returncode != 0 or not process.stdout.startswith(b'Good "') or key is None:
        raise SIGNATURE_REFUSED(path=path, because=_reason(process))
    return key[0].decode("ascii")


def signer_of(path: Path, signed: Signed, signers: Path, identity: str | None) -> str:
    """Verify a signature, and return its signer.

    ``path``: name of the signed file in errors. ``signers``: a file as ``ssh-keygen(1)`` describes it under ALLOWED SIGNERS.
    ``identity``: required signer; None: anyone in that file.

    Raises:
        SshKeygenMissing: it is not installed.
        SIGNERS_UNREADABLE: ``signers`` cannot be read.
        SIGNATURE_REFUSED: unknown key, another namespace, or other bytes.
    """
    ssh_keygen()
    try:
        bounded_content(signers, _SIGNERS_BYTES_MAX)
    except OSError as error:
        raise signers_unreadable(file=signers, because=system_reason(error), namespace=signed.namespace) from error
    with _signature_file(signed.signature) as file:
        names = [identity] if identity is not None else _find_principals(path, file, signers)
        for name in names:
            arguments = ["-Y", "verify", "-n", signed.namespace, "-f", str(signers), "-I", name, "-s", str(file)]
            process = _run(arguments, signed.content, timeout_s=_TIMEOUT_S)
            if process.returncode == 0 and process.stdout.startswith(b'Good "'):
                return name
    raise SIGNATURE_REFUSED(path=path, because=_reason(process))


def _find_principals(path: Path, signature: Path, signers: Path) -> Sequence[str]:
    process = _run(["-Y", "find-principals", "-f", str(signers), "-s", str(signature)], b"", timeout_s=_TIMEOUT_S)
    names = process.stdout.decode("utf-8", "replace").split("\n")
    principals = [name for line in names for name in line.split(",") if name]
    if process.returncode != 0 or not principals:
        raise SIGNATURE_REFUSED(path=path, because=f"no signer in {signers} made it ({_reason(process)})")
    return principals


def _run(arguments: Sequence[str], content: bytes, *, timeout_s: float | None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C"}
    command = [ssh_keygen(), *arguments]
    try:
        return subprocess.run(command, input=content, capture_output=True, env=environment, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, b"", f"no answer within {timeout_s:g} s".encode())


@contextmanager
def _signature_file(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        path = Path(folder) / "signature"
        path.write_bytes(content)
        yield path


def _reason(process: subprocess.CompletedProcess[bytes]) -> str:
    """Return the first line of output that gives a reason."""
    lines = (process.stderr + b"\n" + process.stdout).decode("utf-8", "replace").split("\n")
    reasons = [line.strip() for line in lines if line.strip() and not line.startswith(_NO_REASONS)]
    return reasons[0][:300] if reasons else f"ssh-keygen exited with {process.returncode}"
