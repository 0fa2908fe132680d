"""The two pages inside a bundle, for whoever stands at the device: what it is and how it is tried, and whose work is in it."""

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
from edgecnn.runner.installing import ENVIRONMENT
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.runtimes import distribution_of
from edgecnn.runtimes.registry import all_backends, backend_for, pythons_with_wheels
from edgecnn.values.candidate import Runtime
from edgecnn.values.report import BuildReport, CandidateFacts
from edgecnn.values.verdict import Fidelity

README, LICENCES = "README.md", "LICENCES.md"
_DEMO = "the embedded demo, Fashion-MNIST"
_PICTURES_LEARNED, _PICTURES_ONLY_MEASURED = "The pictures it learned from", "The pictures it was calibrated and measured with"
_MANAGED = "Debian, Ubuntu and Raspberry Pi OS refuse `pip install` outside one"
_LOCAL_PATHS = "a folder or list of the person who built this"


def bundle_readme(report: BuildReport) -> str:
    """``README.md``: one page, which needs nothing but what a board has."""
    build, choice = report.build, report.choice
    carried = [facts for facts in report.candidates if facts.candidate.id in choice.carried]
    used = choice.candidate or next(iter(choice.carried), None)
    parts = [
        f"# {markdown_text(build.name)}",
        *(f"**{markdown_text(line)}**" for line in learned_lines(report.gates)),
        f"A classifier of photographs: {markdown_text(build.arch)}, {_answers(report)}, "
        f"pictures of {_shape(build.resolution_px)} pixels. Built for {markdown_text(build.device)} by edgecnn {report.version}.",
        *(
            (f"Used: {markdown_code(used)}, {_state(report)}", _use(used, carried))
            if used is not None
            else ("It carries no kit.",)
        ),
        _accuracy(report, carried),
        _verdict(report),
        "## What else is here\n\n"
        "`choice.json` says which kit is used and why, `kits/` holds the kits, `LICENCES.md` says whose work is in them. "
        "`bundle.json` has the SHA-256 of every file; `edgecnn bundle verify` compares them, "
        "and its signature where there is one.",
    ]
    return visible_lines("\n\n".join(parts) + "\n")


def _several(rows: Iterable[CandidateFacts]) -> bool:
    return any(facts.multi_label is not None for facts in rows)


def _answers(report: BuildReport) -> str:
    count = report.build.classes
    return f"{count:,} labels of which a picture may have any number" if _several(report.candidates) else f"{count:,} classes"


def _verdict(report: BuildReport) -> str:
    """What was asked of it, and what came of that."""
    gates_text = "; ".join(
        markdown_text(f"{bound_of(result.gate)}: {result.verdict.value}, {result.reason}") for result in report.gates
    )
    return f"Verdict when it was built: {report.verdict.value}" + (f" ({gates_text})." if gates_text else ": no gate was judged.")


def _shape(size: ImageSize) -> str:
    return f"{size} × {size}" if size.is_square else f"{size.height_px} (height) × {size.width_px} (width)"


def bundle_licences(report: BuildReport) -> str:
    """``LICENCES.md``: of the code, the weights and the pictures, each as far as it is known."""
    parts = [
        "# Licences",
        f"## The runner in each kit\n\nedgecnn {report.version}, Apache-2.0: https://www.apache.org/licenses/LICENSE-2.0",
        f"## The weights\n\n{_weights(report)}",
        f"## {_PICTURES_ONLY_MEASURED if _is_custom(report) else _PICTURES_LEARNED}\n\n{_pictures(report)}",
        f"## What runs it\n\n{listed([*_titles(report), 'NumPy', 'Pillow'])} are not in here: they are installed on the device, "
        "and have licences of their own.",
    ]
    if any(facts.candidate.runtime.runs_in_browser for facts in report.candidates):
        parts.append("ONNX Runtime Web, MIT, is in the kits for browsers, with its licence in `onnxruntime-web-LICENSE.txt`.")
    return visible_lines("\n\n".join(parts) + "\n")


def _titles(report: BuildReport) -> list[str]:
    """Of the runtimes that a device needs for the kits in here."""
    carried = {facts.candidate.runtime for facts in report.candidates if facts.candidate.id in report.choice.carried}
    return [backend.title for backend in all_backends() if backend.runtime in carried and not backend.runtime.runs_in_browser]


def _state(report: BuildReport) -> str:
    if report.choice.state == "provisional" and report.choice.regret is not None:
        return f"provisionally: the race was disturbed, and this may cost {100 * report.choice.regret:.1f} % more than the best."
    if report.choice.state == "provisional":
        return "provisionally: it was not measured on the device yet. `python3 -B -m runner measure ../..` in its kit does that."
    return "which is settled." if report.choice.state == "settled" else "since nothing was chosen."


def _use(kit: str, carried: Sequence[CandidateFacts]) -> str:
    shown = "the labels over their thresholds" if _several(carried) else "labels with probabilities, most probable first"
    folder = shell_word(visible(f"kits/{kit}"))
    lines = [
        f"cd {folder}",
        "python3 -B -m runner selftest            # what is missing here, and whether it computes the same here",
        f"python3 -B -m runner predict photo.jpg   # {shown}",
    ]
    used = next((facts.candidate for facts in carried if facts.candidate.id == kit), None)
    if used is not None and used.runtime.runs_in_browser:
        lines.append("python3 -B -m runner page                # its own page; any web server can host this folder as it is")
    if used is not None and backend_for(used.runtime).builder is not None:
        lines.insert(1, "python3 -B -m runner build-engine --out build   # once: the engine for this very GPU")
    program = [
        f"from runner.classifier import Classifier  # from the bundle's folder, with PYTHONPATH={folder}",
        f'classifier = Classifier("{visible(f"kits/{kit}")}")',
        'for label, probability in classifier.predict("photo.jpg")[:5]:',
        "    print(label, probability)",
    ]
    return "\n".join(
        ["## Use", "", _python_needed(carried), "", "```bash", *_installing(kit, carried), *lines, "```", ""]
        + ["In a program, from any number of threads:", ""]
        + ["```python", *program, "```"]
    )


def _python_needed(carried: Sequence[CandidateFacts]) -> str:
    """The first Python for which every runtime of the kits has wheels."""
    firsts = [OLDEST_PYTHON]
    for runtime in dict.fromkeys(facts.candidate.runtime for facts in carried if facts.candidate.runtime.ships):
        wheels = pythons_with_wheels(runtime, backend_for(runtime).runtime_packages.get(distribution_of(runtime), ""))
        firsts += [wheels[0]] if wheels is not None else []
    version = ".".join(map(str, max(firsts)))
    return f"You need Python {version} or newer. The first lines make a virtual environment: {_MANAGED}."


def _installing(kit: str, carried: Sequence[CandidateFacts]) -> list[str]:
    """The lines that make a virtual environment with what a kit needs. JetPack brings TensorRT, and a browser is no package."""
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


def _accuracy(report: BuildReport, carried: Iterable[CandidateFacts]) -> str:
    lines = (f"- {markdown_code(facts.candidate.id)}: {_top1(facts)}; {_latency(facts)}" for facts in carried)
    return "\n".join(["## What was measured, and where", "", _images_sentence(report), "", *lines])


def _images_sentence(report: BuildReport) -> str:
    images = figures.tested_on(report)
    if any(facts.agreement is not None for facts in report.candidates):
        return f"Agreement with fp32 is of {images} without labels that nothing was chosen by. {figures.NO_ACCURACY}"
    if any(row.test is not None and row.test.folds is not None for row in report.candidates):
        note = "each answered by a network that did not learn from it, of which this is the first fold's"
        return f"Top-1 (with a 95 % interval) is of {images}, {note}."
    name = "mAP" if _several(report.candidates) else "Top-1"
    return f"{name} is of {images} that nothing was trained on or chosen by, with a 95 % interval."


def _top1(facts: CandidateFacts) -> str:
    accuracy = facts.answered
    if facts.agreement is not None:
        reference = "the reference that agreement is counted against"
        return reference if facts.is_baseline else figures.agreement_sentence(facts.agreement)
    if accuracy is None:
        return "its accuracy was not measured"
    how = "emulated on a stand-in" if accuracy.fidelity is Fidelity.EMULATED else accuracy.fidelity.value.lower()
    name = "top-1" if facts.multi_label is None else "mAP"
    return f"{name} {figures.percent_interval(accuracy.share)}, {how} on {markdown_text(accuracy.machine)}"


def _latency(facts: CandidateFacts) -> str:
    latency = facts.latency
    if latency is None or latency.p50_ms is None:
        return "its latency was not measured"
    how = ", estimated by the race for the choice" if latency.selecting else ""
    how += ", where other work slowed it" if latency.disturbed else ""
    return f"p50 {figures.milliseconds(latency.p50_ms)} ms on {markdown_text(latency.machine)}{how}"


def _weights(report: BuildReport) -> str:
    sha256 = report.build.weights_sha256
    if sha256 is None:
        return "Nobody else's: training began from random weights. They are the work of whoever built this."
    if _is_custom(report):
        return (
            f"Unknown. The network is a custom model (a file, SHA-256 {sha256}), and edgecnn does not know under "
            "which licence, nor what it learned from: ask whoever built this."
        )
    published = report.build.weights_published
    if published is None:
        return (
            f"Unknown. Training began from a custom weights file (SHA-256 {sha256}), whose licence edgecnn does not know: "
            "ask whoever built this."
        )
    return (
        f"Training began from {markdown_text(f'{published.name} ({published.file}, SHA-256 {sha256})')}, "
        f"trained on {markdown_text(published.trained_on)}.\n\n"
        f"- Licence: {markdown_text(published.licence)}\n- Source: {markdown_text(published.source)}"
    )


def _is_custom(report: BuildReport) -> bool:
    """A network that was trained here had pictures to train on, or composed some."""
    return report.build.splits.get("train") == 0 and report.build.synthesis is None


def _pictures(report: BuildReport) -> str:
    golden = "Some of them are in each kit's `golden/`, by which it tests itself."
    if report.build.data != _DEMO:
        return f"Unknown: they came from {_LOCAL_PATHS}, and edgecnn does not know under which terms. {golden}"
    licence = DEMO_FILE.with_name("LICENSE").read_text(encoding="utf-8").strip()
    return f"Fashion-MNIST, MIT. {golden}\n\n" + "\n".join(f"> {line}".rstrip() for line in licence.splitlines())
