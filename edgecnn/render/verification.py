"""What verifying a bundle found, in words."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.bundle.manifest import BundleVerification

_NAMED = 5


def verification_lines(found: BundleVerification) -> Iterator[str]:
    """The verdict, who vouches for it, and what was let pass."""
    mib = found.bytes / 2**20
    yield f"{found.path}: whole, {found.files:,} files, {mib:,.1f} MiB, as {found.name} version {found.version} was packed"
    yield f"  kits: {', '.join(found.kits) or 'none'}{f'; {found.chosen} is used' if found.chosen else ''}"
    yield f"  bundle.json: SHA-256 {found.sha256}"
    if found.signature == "good":
        yield f"  signed by {found.signer}"
    if found.remembered is not None:
        yield f"  this machine had accepted version {found.remembered} before"
    if found.made_here:
        more = f" and {len(found.made_here) - _NAMED:,} more" if len(found.made_here) > _NAMED else ""
        yield f"  let pass, and vouched for by nobody: {', '.join(found.made_here[:_NAMED])}{more}"


def warning_lines(found: BundleVerification) -> Iterator[str]:
    """What to know that is no reason to refuse it; for stderr."""
    yield from (f"edgecnn: warning: {warning}" for warning in found.warnings)
