"""The command line of a kit.

A person gets text. A program passes ``--json``, or ``--lease-s`` as edgecnn does; the last line on standard output is then one
JSON object, which alone states success.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

if not __package__:  # started by its path, so that no import below would be found
    sys.path[0], __package__ = str(Path(__file__).resolve().parents[1]), "runner"
    from .messages import refuse_start_by_path

    sys.exit(refuse_start_by_path())

from .messages import (
    CANNOT_WRITE,
    JSON_OPTION,
    LEASE_OPTION,
    RunnerError,
    drop_unwritable,
    finish,
    note,
    progress,
    show_to_person,
)


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one command; return 0 if it succeeded, ``CANNOT_WRITE`` if standard output fails, else 1."""
    options = _parser().parse_args(arguments)
    if options.lease_s is None and not options.json:
        show_to_person()
    if options.lease_s is not None:
        from .runs.parent import hold_lease

        hold_lease(options.lease_s)
    try:
        return _run_command(options)
    except BrokenPipeError:  # the reader closed the pipe
        drop_unwritable()
        return 1
    except OSError:
        drop_unwritable()
        return CANNOT_WRITE


def _run_command(options: argparse.Namespace) -> int:
    """Raises OSError: standard output cannot be written."""
    try:
        result = options.command(options)
    except RunnerError as error:
        finish(options.name, error.results, error)
        return 1
    except ModuleNotFoundError as error:
        finish(options.name, {}, _missing_module(options.name, error))
        return 1
    except Exception as error:  # noqa: BLE001 - the boundary of the process: every error becomes the last line
        finish(options.name, {}, _fault(options.name, error))
        return 1
    finish(options.name, result)
    return 0


def _missing_module(where: str, error: ModuleNotFoundError) -> RunnerError:
    """Return the error for a missing package, or a fault of the runner for a module that no package provides."""
    from .packages import DISTRIBUTION_OF, installed_version, missing_package

    package = (error.name or "").partition(".")[0]
    if package not in DISTRIBUTION_OF:
        return _fault(where, error)
    absent = [name for name in sorted(DISTRIBUTION_OF.values()) if installed_version(name) is None] or [DISTRIBUTION_OF[package]]
    are = "is" if len(absent) == 1 else "are"
    return missing_package("the runner needs {}, which {} not installed".format(" and ".join(absent), are), *absent)


def _fault(where: str, error: Exception) -> RunnerError:
    with suppress(OSError):
        traceback.print_exc()
    return RunnerError("runner-fault", "the runner failed in {}".format(where), "{}: {}".format(type(error).__name__, error))


def _info(options: argparse.Namespace) -> Dict[str, Any]:
    from .machine.environment import read_environment
    from .manifest import MANIFEST
    from .packages import installed_runtimes, runtime_of

    if options.builder is not None:
        from .engines.record import describe_builder

        return {"builder": describe_builder(options.builder)}
    if not (options.kit / MANIFEST).exists():
        return {"environment": read_environment(), "runtimes": installed_runtimes()}
    kit = _kit(options)
    return {
        "environment": read_environment(runtime_of(kit.manifest.session.module)),
        "runtimes": installed_runtimes(),
        "kit": {"sha256": kit.sha256, "name": kit.manifest.name, "stands_for": kit.manifest.stands_for},
    }


def _selftest(options: argparse.Namespace) -> Dict[str, Any]:
    from .golden import selftest

    return {"selftest": selftest(_kit(options), _knobs(options))}


def _golden(options: argparse.Namespace) -> Dict[str, Any]:
    from .golden import write_golden

    return {"golden": write_golden(_kit(options), options.out)}


def _build_engine(options: argparse.Namespace) -> Dict[str, Any]:
    from .engines import engine

    kit = _kit(options)
    kit.verify_files()
    request = engine.BuildRequest(options.package, options.capability, options.timing_cache)
    if options.once:
        from .engines.record import reusable_record

        record = reusable_record(kit, options.out, request)
        if record is not None:
            return {"engine": record}
    return {"engine": engine.build_engines(kit.folder, options.out, request, progress)}


def _evaluate(options: argparse.Namespace) -> Dict[str, Any]:
    from .evaluate import evaluate

    return {"evaluation": evaluate(_kit(options), options.pixels, options.out, options.chunk, options.batch)}


def _bench(options: argparse.Namespace) -> Dict[str, Any]:
    from .runs.schedule import bench

    return {"bench": bench(options.schedule, options.out)}


def _measure(options: argparse.Namespace) -> Dict[str, Any]:
    from .bundle import measure

    bundle = options.bundle or options.kit / ".." / ".."
    return {"bench": measure(bundle, options.out or bundle / "measured", options.rounds, options.samples)}


def _predict(options: argparse.Namespace) -> Dict[str, Any]:
    from .causes import count_images, files_in, split_left_behind
    from .choice import unlearned_around
    from .classifier import UNREADABLE_FIX, Classifier, predict_files
    from .messages import Teller
    from .text import unlearned_text

    named, skipped = split_left_behind(options.files)
    for path in skipped:
        count = count_images(path)
        note("{}: skipped {:,} {} that a tool left".format(path, count, "image" if count == 1 else "images"))
    files = []  # type: List[Path]
    for path in named:
        inside = files_in(path) if path.is_dir() else [path]
        if not inside:
            raise RunnerError(
                "no-pictures", "{}: this folder has no images".format(path), hint="pass images, or a folder of images"
            )
        files += inside
    if not files:
        what = "{}: a tool left this file".format(options.files[0])
        raise RunnerError("no-pictures", what, "it is not one of your images", "pass images, or a folder of images")
    classifier = Classifier(options.kit, _knobs(options))
    unlearned = unlearned_around(classifier.kit)
    if unlearned is not None:
        note("warning: {}".format(unlearned_text(classifier.kit.manifest.name, **unlearned._asdict())))
    try:
        result = predict_files(classifier, files, options.top, Teller("predicting", len(files), "images").step)
    finally:
        classifier.close()
    results = dict(result, knobs=classifier.knobs, unlearned=None if unlearned is None else unlearned._asdict())
    if result["unreadable"]:
        first, count = result["unreadable"][0], len(result["unreadable"])
        summary = "{:,} of {:,} files cannot be read as images".format(count, len(files))
        because = "{}: {}{}".format(first["file"], first["because"], "" if count == 1 else ", and {:,} more".format(count - 1))
        raise RunnerError("unreadable-image", summary, because, UNREADABLE_FIX).add_results(results)
    return results


def _page(options: argparse.Namespace) -> Dict[str, Any]:
    from .browser import host

    return {"page": host(_kit(options), options.port)}


def _knobs(options: argparse.Namespace) -> Optional[Dict[str, str]]:
    from .session_options import parse_knobs

    return None if options.knob is None else parse_knobs(options.knob)


def _kit(options: argparse.Namespace) -> Any:
    from .kit import Kit

    return Kit.open(options.kit)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="runner", description="Tests, measures and uses the kit in this folder.")
    parser.add_argument("--kit", type=Path, default=Path(), metavar="FOLDER", help="the kit (default: the current folder)")
    parser.add_argument(
        LEASE_OPTION,
        type=float,
        metavar="SECONDS",
        help="stop if standard input closes or sends nothing for this long; implies --json",
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    info = _add(commands, "info", _info, "describe this machine")
    info.add_argument("--builder", metavar="NAME", help="describe only the facts that engines of this Python package depend on")
    test = _add(commands, "selftest", _selftest, "check that the kit is unchanged and gives the same logits on this machine")
    _add_knobs(test)
    golden = _add(commands, "golden", _golden, "write a golden input and its logits as plain numbers, to test another program")
    golden.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    _add_build(commands)
    evaluation = _add(commands, "evaluate", _evaluate, "compute the logits of an array of pixels")
    evaluation.add_argument("--pixels", type=Path, required=True, metavar="FILE.npy", help="uint8 (N, H, W, 3)")
    evaluation.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    evaluation.add_argument("--chunk", type=_positive, default=256, metavar="IMAGES", help="images per file (default 256)")
    evaluation.add_argument("--batch", type=_positive, metavar="IMAGES", help="images per call")
    bench = _add(commands, "bench", _bench, "time kits, each run in a fresh process")
    bench.add_argument("--schedule", type=Path, required=True, metavar="FILE.json")
    bench.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    measurement = _add(
        commands, "measure", _measure, "time every kit of the bundle, and measure its energy if a meter is available"
    )
    measurement.add_argument(
        "bundle", type=Path, nargs="?", metavar="BUNDLE", help="the bundle's folder (default: the bundle around the kit)"
    )
    measurement.add_argument("--out", type=Path, metavar="FOLDER", help="folder for the runs (default BUNDLE/measured)")
    text = "processes for each kit's latency, and for its energy (default: as many as the build's gates need, at least 8)"
    measurement.add_argument("--rounds", type=_positive, help=text)
    measurement.add_argument("--samples", type=_positive, default=1000, help="inferences in each process (default 1000)")
    predict = _add(commands, "predict", _predict, "classify images")
    predict.add_argument("files", type=Path, nargs="+", metavar="IMAGE", help="an image, or a folder of images")
    predict.add_argument("--top", type=_positive, default=5, metavar="LABELS", help="number of labels (default 5)")
    _add_knobs(predict)
    page = _add(commands, "page", _page, "serve the page of a kit for browsers to this machine, until Ctrl-C")
    page.add_argument("--port", type=_port, default=8000, help="default 8000")
    return parser


def _add(commands: Any, name: str, command: Callable[[argparse.Namespace], Dict[str, Any]], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    parser.add_argument(JSON_OPTION, action="store_true", help="print JSON lines, with the result as the last line")
    return parser


def _add_build(commands: Any) -> None:
    build = _add(commands, "build-engine", _build_engine, "build the engine that a device runs")
    build.add_argument("--package", metavar="NAME", help="the Python package that builds it")
    build.add_argument("--capability", action="append", default=[], metavar="X.Y", help="a GPU to build for; may be repeated")
    build.add_argument(
        "--timing-cache", type=Path, metavar="FILE", help="start from the timings of an earlier build, and save them there"
    )
    build.add_argument("--once", action="store_true", help="keep engines of an earlier call if they match this machine")
    build.add_argument("--out", type=Path, required=True, metavar="FOLDER")


def _add_knobs(parser: argparse.ArgumentParser) -> None:
    text = "a session option that only changes speed; may be repeated (default: the knobs in the bundle's choice.json)"
    parser.add_argument("--knob", action="append", metavar="NAME=VALUE", help=text)


def _port(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65535:
        raise argparse.ArgumentTypeError("must be from 1 to 65535")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
