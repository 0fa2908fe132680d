"""`edgecnn predict` and `edgecnn bundle`: use, verify, sign, zip and serve a bundle."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli.asking import TrustOptions, trust_of
from edgecnn.cli.options import TRUST
from edgecnn.cli.verbs import Call, family, verb
from edgecnn.errors.base import ExitCode

if TYPE_CHECKING:
    from edgecnn.bundle.predictions import Served
    from edgecnn.bundle.serving import PhotoServer, ServeRequest

BundleArg = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle: its folder, its zip, or the folder of its build.")]
FolderArg = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle: its folder, or the folder of its build.")]
ZipOpt = Annotated[Path, typer.Option("--out", metavar="FILE.zip", help="The zip to write.")]
KeyOpt = Annotated[
    Path, typer.Option("--key", metavar="KEY", help="An OpenSSH private key, or the .pub file of a key in the agent.")
]
SbomOpt = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="File to write, such as NAME.cdx.json (default: stdout).")
]
VersionOpt = Annotated[
    int | None,
    typer.Option("--version", metavar="N", min=1, max=2**53, help="Version of the bundle (default: its current version)."),
]
PhotosArg = Annotated[list[Path], typer.Argument(metavar="PHOTOS…", help="Image files, or folders of images.")]
CandidateOpt = Annotated[
    str | None, typer.Option("--candidate", metavar="NAME", help="Kit to use (default: the bundle's choice).")
]
TopOpt = Annotated[
    int,
    typer.Option(
        "--top",
        min=1,
        metavar="K",
        help="Classes to print per image; multi-label networks print every label above its threshold.",
    ),
]
CsvOpt = Annotated[
    bool, typer.Option("--csv", help="Print lines of file,rank,label,probability on stdout.", rich_help_panel="Results")
]
AddressOpt = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on; 0.0.0.0 accepts other machines.")
]
AllowHostOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        help="Also accept browsers that call the page by this name. May be repeated.",
    ),
]
PortOpt = Annotated[int, typer.Option("--port", min=0, max=65535, metavar="PORT", help="Port to listen on; 0 picks a free port.")]
SizeOpt = Annotated[float, typer.Option("--max-mib", min=0.001, max=1024, metavar="MIB", help="Largest file to accept.")]
RateOpt = Annotated[
    int,
    typer.Option(
        "--per-minute",
        min=1,
        max=1_000_000,
        metavar="N",
        help="Limit of images per client and minute; up to a fifth of them may arrive at once.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    takes = (TRUST, TrustOptions)
    verb(app, "predict", short="Classify images with a bundle.", takes=takes)(predict)
    bundles = family(app, "bundle", short="Verify, sign, zip or serve a bundle, or list its components.")
    verb(bundles, "verify", short="Verify a bundle against its manifest and signature.", takes=takes)(verify_bundle)
    verb(bundles, "sign", short="Sign a bundle with an OpenSSH key.")(sign)
    verb(bundles, "zip", short="Verify a bundle and write it as one zip.")(zip_)
    verb(bundles, "sbom", short="List the components of a bundle, as CycloneDX.", takes=takes)(sbom)
    verb(bundles, "serve", short="Serve a local page that classifies dropped images.", takes=takes)(serve)


def zip_(call: Call, bundle: FolderArg, out: ZipOpt) -> None:
    """Verify a bundle and write it as one zip. The same files always give the same bytes."""
    from edgecnn.bundle.publishing import write_zip
    from edgecnn.bundle.verify import Trust, verify
    from edgecnn.render.progress import Quiet

    digest = write_zip(verify(bundle, Trust(made_here=True), Quiet()), out)
    size = out.stat().st_size
    call.show({"file": str(out), "bytes": size, "sha256": digest}, [f"{out}: {size:,} bytes, SHA-256 {digest}"])


def verify_bundle(call: Call, bundle: BundleArg) -> None:
    """Verify a bundle against its manifest: every byte, no extra file and no missing file."""
    from edgecnn.bundle.verify import verify
    from edgecnn.render.screens.bundle import verification_lines, warning_lines

    verification = verify(bundle, trust_of(call.options), call.tell).facts
    call.warn(warning_lines(verification.warnings, verification.unlearned))
    call.show(verification, verification_lines(verification))


def sign(call: Call, bundle: FolderArg, key: KeyOpt, version: VersionOpt = None) -> None:
    """Sign a bundle with an OpenSSH key, so that `verify --allowed-signers` can check who signed it."""
    from edgecnn.bundle.publishing import sign_bundle

    signed = sign_bundle(bundle, key, version, call.tell)
    facts = {"path": str(bundle), "name": signed.name, "version": signed.version}
    call.show(facts, [f"{bundle}: {signed.name} version {signed.version}, signed"])


def sbom(call: Call, bundle: BundleArg, out: SbomOpt = None) -> None:
    """Verify a bundle and list its models, the origin of their weights and the packages they need, as CycloneDX 1.6."""
    from edgecnn.bundle.verify import verify
    from edgecnn.installed import require_packages
    from edgecnn.render.screens.bundle import warning_lines

    require_packages(("cyclonedx-python-lib",), extra="sbom", needed_for="edgecnn bundle sbom")
    from edgecnn.bundle.sbom import sbom_of, write_sbom

    verified = verify(bundle, trust_of(call.options), call.tell)
    call.warn(warning_lines(verified.facts.warnings))
    if out is None:
        text = sbom_of(verified)
        call.show(json.loads(text), text.rstrip("\n").split("\n"))
        return
    components = len(json.loads(write_sbom(verified, out))["components"])
    facts = {"file": str(out), "bundle": verified.facts.sha256, "components": components}
    call.show(facts, [f"{out}: {components} components of {verified.manifest.name} version {verified.manifest.version}"])


def predict(
    call: Call, bundle: BundleArg, photos: PhotosArg, candidate: CandidateOpt = None, top: TopOpt = 5, as_csv: CsvOpt = False
) -> ExitCode:
    """Verify a bundle and classify images with its kit. Exits with 2 if an image cannot be read."""
    from edgecnn.bundle.predicting import predict_photos, require_paths
    from edgecnn.bundle.verify import verify
    from edgecnn.errors.bundle import TWO_FORMS_ASKED
    from edgecnn.render.screens.bundle import confinement_lines, show_predictions, unreadable_lines, warning_lines

    if as_csv and call.options.as_json:
        raise TWO_FORMS_ASKED()
    require_paths(photos)
    verified = verify(bundle, trust_of(call.options), call.tell)
    predictions = predict_photos(verified, photos, candidate, top, call.tell)
    call.show(predictions, lambda: show_predictions(predictions, as_csv=as_csv))
    unlearned = {} if predictions.unlearned is None else {predictions.candidate: predictions.unlearned}
    warnings = (*warning_lines(verified.facts.warnings, unlearned), *confinement_lines(predictions.confinement))
    call.warn([*warnings, *unreadable_lines(predictions)])
    return ExitCode.BAD_INPUT if predictions.unreadable else ExitCode.OK


def serve(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    bundle: BundleArg,
    host: AddressOpt = "127.0.0.1",
    port: PortOpt = 0,
    allow_host: AllowHostOpt = None,
    candidate: CandidateOpt = None,
    max_mib: SizeOpt = 20.0,
    per_minute: RateOpt = 300,
) -> ExitCode:
    """Verify a bundle and serve a local page that shows the classes and the latency for each dropped image."""
    from edgecnn.bundle.answering import Limits
    from edgecnn.bundle.serving import Place, ServeRequest
    from edgecnn.errors.recipes import EMPTY_OPTION

    if not host.strip():
        raise EMPTY_OPTION(option="--host")
    limits = Limits(body_bytes=int(max_mib * 2**20), per_minute=per_minute)
    place = Place(host, port, _host_names(allow_host or ()))
    return _serve_until_stopped(ServeRequest(bundle, candidate, place, limits, trust_of(call.options)), call)


def _host_names(names: Sequence[str]) -> tuple[str, ...]:
    from edgecnn.bundle.serving import is_host_name
    from edgecnn.errors.recipes import EMPTY_OPTION
    from edgecnn.errors.usage import bad_value

    for name in names:
        if not name.strip():
            raise EMPTY_OPTION(option="--allow-host")
        if not is_host_name(name):
            reason = "a host name has no http:// and no port, such as photos.example"
            raise bad_value(command="edgecnn bundle serve", name="--allow-host", value=name, reason=reason)
    return tuple(names)


def _serve_until_stopped(to_serve: ServeRequest, call: Call) -> ExitCode:
    """Serve until Ctrl-C, which is an interruption, or SIGTERM, which is the normal end of a service."""
    from edgecnn.bundle.serving import Terminated, photo_server, raise_end_signals
    from edgecnn.render.page.served import served_page
    from edgecnn.render.terminal import show_talk

    listening = photo_server(to_serve, served_page, call.tell, lambda line: show_talk([line]))
    try:
        with raise_end_signals() as endings, listening as (server, served):
            _announce(server, served, call)
            try:
                server.serve_until(endings.check)
            except KeyboardInterrupt:
                show_talk(["edgecnn: stopped"])
                return ExitCode.INTERRUPTED
    except Terminated:
        return ExitCode.OK
    return ExitCode.OK


def _announce(server: PhotoServer, served: Served, call: Call) -> None:
    from edgecnn.render.screens.bundle import confinement_lines, exposed_lines, served_lines, warning_lines

    address = {"url": server.url, "listens_on": server.listens_on, "only_this_machine": server.is_local}
    call.show({**address, **served.model_dump(mode="json")}, served_lines(server.url, served, only_this_machine=server.is_local))
    sys.stdout.flush()  # a program that reads the pipe waits for the address
    exposed = [] if server.is_local else exposed_lines(server.listens_on, server.port)
    unlearned = {} if served.unlearned is None else {served.candidate: served.unlearned}
    call.warn([*warning_lines(served.warnings, unlearned), *confinement_lines(served.confinement), *exposed])
