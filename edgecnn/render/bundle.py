"""The two pages in a bundle: how to use it on a device, and the licences of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edgecnn.data.demo import DEMO_FILE
from edgecnn.errors.base import visible
from edgecnn.errors.wording import listed, shell_word
from edgecnn.installed import OLDEST_PYTHON
from edgecnn.judging.gates import bound_of
from edgecnn.render import figures
from edgecnn.render.sentences import learned_lines
from edgecnn.render.wording import markdown_code, markdown_text, visible_lines
from edgecnn.runner.packages import ENVIRONMENT, distribution_of
from edgecnn.runtimes.registry import all_backends, backend_for, pythons_with_wheels
from edgecnn.values.candidate import Runtime
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Fidelity

README, LICENCES = "README.md", "LICENCES.md"
_DEMO = "the embedded demo, Fashion-MNIST"
_MANAGED = "Debian, Ubuntu and Raspberry Pi OS refuse `pip install` outside one"
_FOR_PEOPLE = (
    "`measure` prints p50, p99 and images per second of every kit, and whether the build's latency gates are met. Each command "
    "prints JSON with `--json`. Errors go to stderr, and the exit code is then 1, or 2 for a mistake in the command."
)
_OUTSIDE = (
    "Keep your program, its images and its results outside the bundle. `edgecnn bundle verify` refuses every file that "
    "`bundle.json` does not list. This layout works, with `bundle` as the folder of this file:"
)
_LAYOUT = ("app/", "  classify.py    your program", "  bundle/        this folder, unchanged")
_ERRORS = (
    "Every expected error is a `RunnerError`. `str(error)` is one line with the file, the cause and the fix. `error.ref`, "
    "`error.what`, `error.because` and `error.hint` are its parts."
)
_CAUSES = {
    "`unreadable-image`": "the image does not exist, is damaged, or has an unsupported format",
    "`missing-package`, `wrong-package-version`": "the runtime is not installed, or has an unsupported version",
    "`wrong-machine`, `wrong-python`": "the kit does not run on this processor or Python",
    "`no-kit`": "the folder is not a kit",
    "`bad-manifest`, `kit-file-missing`, `kit-file-changed`, `kit-file-link`, `kit-file-unlisted`": "the kit is not complete",
    "`runtime-refused-model`, `engine-not-built`": "the runtime refuses the model, or the engine was not built here",
}
_LOCAL_PATHS = "a folder or list of the person who built this"


def bundle_readme(report: BuildReport) -> str:
    """Return ``README.md``: how to use the bundle on a device without edgecnn."""
    build, choice = report.build, report.choice
    carried = [facts for facts in report.candidates if facts.candidate.id in choice.carried]
    used = choice.candidate or next(iter(choice.carried), None)
    kind = "labels, of which an image can have several" if _has_several_labels(report.candidates) else "classes"
    size = build.resolution_px
    shape = f"{size} × {size}" if size.is_square else f"{size.height_px} (height) × {size.width_px} (width)"
    measurements = (
        f"- {markdown_code(facts.candidate.id)}: {_accuracy_text(facts)}; {_latency_text(facts)}" for facts in carried
    )
    gates = "; ".join(
        markdown_text(f"{bound_of(result.gate)}: {result.verdict.value}, {result.reason}") for result in report.gates
    )
    parts = [
        f"# {markdown_text(build.name)}",
        *(f"**{markdown_text(line)}**" for line in learned_lines(report.gates)),
        f"An image classifier: {markdown_text(build.arch)}, {build.classes:,} {kind}, images of {shape} pixels. "
        f"Built for {markdown_text(build.device)} by edgecnn {report.version}.",
        *(
            (f"Chosen: {markdown_code(used)}, {_state_text(report)}", _use_section(used, carried))
            if used is not None
            else ("This bundle has no kit.",)
        ),
        "\n".join(["## Measurements", "", _images_sentence(report), "", *measurements]),
        f"Verdict of the build: {report.verdict.value}" + (f" ({gates})." if gates else ": no gate was judged."),
        "## Other files\n\n"
        "`choice.json` names the chosen kit and the reason, `kits/` has the kits, and `LICENCES.md` has the licences. "
        "`bundle.json` has the SHA-256 of every file. `edgecnn bundle verify .` checks the files, and any signature. "
        "`edgecnn bundle verify . --made-here` accepts engines, measurements and byte code that this machine added.",
    ]
    return visible_lines("\n\n".join(parts) + "\n")


def _has_several_labels(rows: Iterable[CandidateFacts]) -> bool:
    return any(facts.multi_label is not None for facts in rows)


def bundle_licences(report: BuildReport) -> str:
    """Return ``LICENCES.md``: the licences of code, weights and images, as far as known."""
    carried = {facts.candidate.runtime for facts in report.candidates if facts.candidate.id in report.choice.carried}
    runtimes = [backend.title for backend in all_backends() if backend.runtime in carried and not backend.runtime.runs_in_browser]
    images = "images for calibration and measurements" if _is_custom(report) else "training images"
    parts = [
        "# Licences",
        f"## The runner in each kit\n\nedgecnn {report.version}, Apache-2.0: https://www.apache.org/licenses/LICENSE-2.0",
        f"## The weights\n\n{_weights_text(report)}",
        f"## The {images}\n\n{_images_text(report)}",
        f"## The runtimes\n\n{listed([*runtimes, 'NumPy', 'Pillow'])} are not in the bundle. "
        "You install them on the device; they have their own licences.",
    ]
    if any(facts.candidate.runtime.runs_in_browser for facts in report.candidates):
        parts.append("ONNX Runtime Web, MIT, is in the kits for browsers, with its licence in `onnxruntime-web-LICENSE.txt`.")
    return visible_lines("\n\n".join(parts) + "\n")


def _state_text(report: BuildReport) -> str:
    if report.choice.state == "provisional" and report.choice.regret is not None:
        return f"provisionally: the race was disturbed, and the best kit may be {100 * report.choice.regret:.1f} % better."
    if report.choice.state == "provisional":
        return "provisionally: it was not measured on the device yet. `python3 -B -m runner measure` in its kit does that."
    return "the choice is settled." if report.choice.state == "settled" else "because no candidate was chosen."


def _use_section(kit: str, carried: Sequence[CandidateFacts]) -> str:
    shown = "labels above their thresholds" if _has_several_labels(carried) else "labels with probabilities, most probable first"
    folder, path = shell_word(visible(f"kits/{kit}")), visible(f"bundle/kits/{kit}")
    lines = [
        f"cd {folder}",
        "python3 -B -m runner selftest            # checks what is missing, and that logits are the same",
        f"python3 -B -m runner predict photo.jpg   # {shown}",
        "python3 -B -m runner measure             # p50, p99 and images per second of every kit, in a table",
    ]
    used = next((facts.candidate for facts in carried if facts.candidate.id == kit), None)
    if used is not None and used.runtime.runs_in_browser:
        lines.append("python3 -B -m runner page                # its page; any web server can serve this folder")
    if used is not None and backend_for(used.runtime).builder is not None:
        lines.insert(1, "python3 -B -m runner build-engine --out build   # once: the engine for this GPU")
    program = [
        "import sys",
        "",
        "sys.dont_write_bytecode = True  # byte code inside the bundle would fail its verification",
        f"sys.path.insert(0, {path!r})",
        "from runner.classifier import Classifier, RunnerError",
        "",
        f"classifier = Classifier({path!r})",
        "try:",
        '    for label, probability in classifier.predict("photo.jpg")[:5]:',
        "        print(label, probability)",
        "except RunnerError as error:",
        "    print(error)  # one line: the file, the cause and the fix",
    ]
    return "\n".join(
        ["## Use", "", _python_sentence(carried), "", "```bash", *_install_commands(kit, carried), *lines, "```", "", _FOR_PEOPLE]
        + ["", "## Your own program", "", _OUTSIDE, "", "```text", *_LAYOUT, "```", ""]
        + [
            "`classify.py`, run in `app/`. Any number of threads can call `predict`:",
            "",
            "```python",
            *program,
            "```",
            "",
            _ERRORS,
        ]
        + ["", "| `error.ref` | cause |", "| --- | --- |", *(f"| {refs} | {cause} |" for refs, cause in _CAUSES.items())]
    )


def _python_sentence(carried: Sequence[CandidateFacts]) -> str:
    """Return the first Python version for which every runtime of the kits has wheels, in a sentence."""
    firsts = [OLDEST_PYTHON]
    for runtime in dict.fromkeys(facts.candidate.runtime for facts in carried if facts.candidate.runtime.ships):
        wheels = pythons_with_wheels(runtime, backend_for(runtime).runtime_packages.get(distribution_of(runtime), ""))
        firsts += [wheels[0]] if wheels is not None else []
    version = ".".join(map(str, max(firsts)))
    return f"You need Python {version} or newer. The first lines make a virtual environment, because {_MANAGED}."


def _install_commands(kit: str, carried: Sequence[CandidateFacts]) -> list[str]:
    """Return the commands that make a virtual environment with the packages of a kit.

    TensorRT is part of JetPack, and a browser is not a package.
    """
    runtime = next((facts.candidate.runtime for facts in carried if facts.candidate.id == kit), None)
    needed = {} if runtime is None else _pip_packages(runtime)
    packages = [*(f'"{name}{versions}"' for name, versions in needed.items()), "numpy", "pillow"]
    other_runtimes = {facts.candidate.runtime for facts in carried} - {runtime}
    more = [f'"{name}{versions}"' for extra in sorted(other_runtimes) for name, versions in _pip_packages(extra).items()]
    also = [f"# {ENVIRONMENT}/bin/pip install {' '.join(more)}   # for the other kits, to measure them too"] if more else []
    return [
        f"python3 -m venv --system-site-packages {ENVIRONMENT}",
        f"{ENVIRONMENT}/bin/pip install {' '.join(packages)}",
        *also,
        f". {ENVIRONMENT}/bin/activate",
    ]


def _pip_packages(runtime: Runtime) -> Mapping[str, str]:
    backend = backend_for(runtime)
    return backend.runtime_packages if backend.pip_installs else {}


def _images_sentence(report: BuildReport) -> str:
    images = figures.tested_images(report)
    if any(facts.agreement is not None for facts in report.candidates):
        return f"Agreement with fp32 is from {images} without labels, which were not used for the choice. {figures.NO_ACCURACY}"
    if any(row.test is not None and row.test.folds is not None for row in report.candidates):
        note = "each classified by a network that did not learn from it; the kit has the network of the first fold"
        return f"Top-1 (with a 95 % interval) is from {images}, {note}."
    name = "mAP" if _has_several_labels(report.candidates) else "Top-1"
    return f"{name} (with a 95 % interval) is from {images} that were not used for training or choosing."


def _accuracy_text(facts: CandidateFacts) -> str:
    accuracy = facts.answered
    if facts.agreement is not None:
        reference = "the reference of the agreement"
        return reference if facts.is_baseline else figures.agreement_sentence(facts.agreement)
    if accuracy is None:
        return "its accuracy was not measured"
    how = "emulated on a stand-in" if accuracy.fidelity is Fidelity.EMULATED else accuracy.fidelity.value.lower()
    name = "top-1" if facts.multi_label is None else "mAP"
    return f"{name} {figures.percent_interval(accuracy.share)}, {how} on {markdown_text(accuracy.machine)}"


def _latency_text(facts: CandidateFacts) -> str:
    latency = facts.latency
    if latency is None or latency.p50_ms is None:
        return "its latency was not measured"
    how = ", estimated in the first race" if latency.selecting else ""
    how += ", slowed by other programs" if latency.disturbed else ""
    return f"p50 {figures.milliseconds(latency.p50_ms)} ms on {markdown_text(latency.machine)}{how}"


def _weights_text(report: BuildReport) -> str:
    sha256 = report.build.weights_sha256
    if sha256 is None:
        return "Training began from random weights, so they are the work of the person who built this."
    if _is_custom(report):
        return (
            f"Unknown. The network is a custom model (a file, SHA-256 {sha256}). edgecnn does not know its licence or its "
            "training images: ask the person who built this."
        )
    published = report.build.weights_published
    if published is None:
        return (
            f"Unknown. Training began from a custom weights file (SHA-256 {sha256}). edgecnn does not know its licence: "
            "ask the person who built this."
        )
    return (
        f"Training began from {markdown_text(f'{published.name} ({published.file}, SHA-256 {sha256})')}, "
        f"trained on {markdown_text(published.trained_on)}.\n\n"
        f"- Licence: {markdown_text(published.licence)}\n- Source: {markdown_text(published.source)}"
    )


def _is_custom(report: BuildReport) -> bool:
    """Return whether the network was not trained here, so that there are no training images."""
    return report.build.splits.get("train") == 0 and report.build.synthesis is None


def _images_text(report: BuildReport) -> str:
    golden = "Some of them are in `golden/` of each kit, for its self-test."
    if report.build.data != _DEMO:
        return f"Unknown: they are from {_LOCAL_PATHS}, and edgecnn does not know their licence. {golden}"
    licence = DEMO_FILE.with_name("LICENSE").read_text(encoding="utf-8").strip()
    return f"Fashion-MNIST, MIT. {golden}\n\n" + "\n".join(f"> {line}".rstrip() for line in licence.splitlines())
