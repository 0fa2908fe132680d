"""`edgecnn serve`: a page on this machine that shows what a bundle sees in photographs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.bundle import BundleArg, IdentityOpt, MadeHereOpt, RememberOpt, RequireSignatureOpt, SignersOpt
from edgecnn.cli.exits import guarded
from edgecnn.cli.predict import CandidateOpt
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from edgecnn.bundle.predictions import Served
    from edgecnn.serving.running import ToServe
    from edgecnn.serving.server import PhotoServer

HostOpt = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; 0.0.0.0 lets others in.")]
PortOpt = Annotated[int, typer.Option("--port", min=0, max=65535, metavar="PORT", help="0 is a free one.")]
SizeOpt = Annotated[float, typer.Option("--max-mib", min=0.001, max=1024, metavar="MIB", help="The largest file that is taken.")]
RateOpt = Annotated[
    int, typer.Option("--per-minute", min=1, max=1_000_000, metavar="N", help="Photographs a client; a fifth of it at once.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("serve", help="Verify a bundle and open a local page for it: drop a photograph, see classes and latency.")(_serve)


def _serve(  # noqa: PLR0913 - a command line's options are its parameters
    bundle: BundleArg,
    host: HostOpt = "127.0.0.1",
    port: PortOpt = 0,
    candidate: CandidateOpt = None,
    max_mib: SizeOpt = 20.0,
    per_minute: RateOpt = 300,
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
        from edgecnn.bundle.verify import Trust
        from edgecnn.errors.recipes import EmptyOption
        from edgecnn.serving.limits import Limits
        from edgecnn.serving.running import ToServe
        from edgecnn.serving.server import Place

        if not host.strip():
            raise EmptyOption(option="--host")
        limits = Limits(body_bytes=int(max_mib * 2**20), per_minute=per_minute)
        trust = Trust(made_here, signers, identity, require_signature, remember)
        return _served(ToServe(bundle, candidate, Place(host, port), limits, trust), quiet=quiet, as_json=as_json)

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))


def _served(asked: ToServe, *, quiet: bool, as_json: bool) -> ExitCode:
    """Until somebody ends it: Ctrl-C is an interruption as everywhere, SIGTERM the proper end of a service."""
    from edgecnn.render.progress import progress_for
    from edgecnn.render.terminal import show_talk
    from edgecnn.serving.running import Terminated, endings_heeded, photo_server

    tell = progress_for(quiet=quiet or as_json)
    try:
        with endings_heeded() as endings, photo_server(asked, tell, lambda line: show_talk([line])) as (server, served):
            tell.close()
            _announce(server, served, as_json=as_json)
            try:
                server.serve_until(endings.check)
            except KeyboardInterrupt:
                show_talk(["edgecnn: stopped"])
                return ExitCode.INTERRUPTED
    except Terminated:
        return ExitCode.OK
    finally:
        tell.close()
    return ExitCode.OK


def _announce(server: PhotoServer, served: Served, *, as_json: bool) -> None:
    from edgecnn.render.serving import doubtful_lines, exposed_lines, served_facts, served_lines
    from edgecnn.render.terminal import show_json, show_lines, show_talk

    if as_json:
        show_json(served_facts(server.url, served))
    else:
        show_lines(served_lines(server.url, served))
    sys.stdout.flush()  # whoever reads a pipe waits for the address
    show_talk(doubtful_lines(served))
    if not server.is_local:
        show_talk(exposed_lines(server.listens_on, server.port))
