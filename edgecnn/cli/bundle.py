"""`edgecnn verify` and `edgecnn bundle zip`: a bundle on its way to a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

BundleArg = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder, its zip, or the folder of the build that made it.")
]
FolderArg = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder, or that of the build that made it.")]
ZipOpt = Annotated[Path, typer.Option("--out", metavar="FILE.zip", help="The zip.")]
MadeHereOpt = Annotated[
    bool,
    typer.Option(
        "--made-here", help="Let pass what using the bundle on this machine left in its folder: runs, engines, byte code."
    ),
]
SignersOpt = Annotated[
    Path | None,
    typer.Option("--allowed-signers", metavar="FILE", help="Whose signatures are good (`man ssh-keygen`); none is refused."),
]
IdentityOpt = Annotated[
    str | None, typer.Option("--identity", metavar="NAME", help="Whose signature it must be; default anybody's in that file.")
]
RequireSignatureOpt = Annotated[bool, typer.Option("--require-signature", help="Refuse a bundle without a good signature.")]
RememberOpt = Annotated[
    Path | None,
    typer.Option("--remember", metavar="FOLDER", help="Record the version accepted here, and refuse to go back behind it."),
]
KeyOpt = Annotated[Path, typer.Option("--key", metavar="KEY", help="A private key of OpenSSH, or the .pub of one in the agent.")]
VersionOpt = Annotated[
    int | None, typer.Option("--version", metavar="N", min=1, max=2**53, help="The bundle's version; default the one it has.")
]
bundle_app = typer.Typer(no_args_is_help=True, help="A build's bundle as one file.")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("verify", help="Hold a bundle against its manifest: every byte, nothing extra, nothing missing.")(_verify)
    app.command("sign", help="Sign a bundle with a key of OpenSSH, so that `verify --allowed-signers` knows whose it is.")(_sign)
    app.add_typer(bundle_app, name="bundle")


@bundle_app.command("zip")
def zip_(bundle: FolderArg, out: ZipOpt, as_json: opt.JsonOpt = False, debug: opt.DebugOpt = False) -> None:
    """Verify a bundle and write it as one zip: the same files are the same bytes, whenever and wherever it is written."""

    def body() -> ExitCode:
        from edgecnn.bundle.verify import Trust, verify
        from edgecnn.bundle.zip_form import write_zip
        from edgecnn.render.progress import Quiet
        from edgecnn.render.terminal import show_json, show_lines

        verified = verify(bundle, Trust(made_here=True), Quiet())
        digest = write_zip(verified, out)
        if as_json:
            show_json({"file": str(out), "bytes": out.stat().st_size, "sha256": digest})
        else:
            show_lines([f"{out}: {out.stat().st_size:,} bytes, SHA-256 {digest}"])
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


def _verify(  # noqa: PLR0913 - a command line's options are its parameters
    bundle: BundleArg,
    signers: SignersOpt = None,
    identity: IdentityOpt = None,
    require_signature: RequireSignatureOpt = False,
    remember: RememberOpt = None,
    made_here: MadeHereOpt = False,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    def body() -> ExitCode:
        from edgecnn.bundle.verify import Trust, verify
        from edgecnn.render.progress import progress_for
        from edgecnn.render.screens.bundle import verification_lines, warning_lines
        from edgecnn.render.terminal import show_json, show_lines, show_talk

        trust = Trust(made_here, signers, identity, require_signature, remember)
        tell = progress_for(quiet=quiet or as_json)
        try:
            found = verify(bundle, trust, tell).facts
        finally:
            tell.close()
        show_talk(warning_lines(found))
        if as_json:
            show_json(found.model_dump(mode="json", by_alias=True))
        else:
            show_lines(verification_lines(found))
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


def _sign(
    bundle: FolderArg,
    key: KeyOpt,
    version: VersionOpt = None,
    as_json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    def body() -> ExitCode:
        from edgecnn.bundle.signing import sign_bundle
        from edgecnn.render.progress import progress_for
        from edgecnn.render.terminal import show_json, show_lines

        tell = progress_for(quiet=quiet or as_json)
        try:
            signed = sign_bundle(bundle, key, version, tell)
        finally:
            tell.close()
        if as_json:
            show_json({"path": str(bundle), "name": signed.name, "version": signed.version})
        else:
            show_lines([f"{bundle}: {signed.name} version {signed.version}, signed"])
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))
