"""The words of edgecnn with their one-line definitions: the glossary of the documentation, and of every page.

A page links the first use of each word to its definition at the bottom of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from markupsafe import Markup, escape


@dataclass(frozen=True)
class Word:
    """One row of the glossary. ``term`` and ``meaning`` are Markdown.

    ``forms`` are the spellings that pages link. An everyday word, such as *run*, has none.
    """

    term: str
    meaning: str
    forms: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The anchor of the definition on a page."""
        return "word-" + re.sub(r"[^A-Za-z0-9]+", "-", self.term).strip("-")

    @property
    def html(self) -> Markup:
        """The definition for a page."""
        return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(self.meaning))))  # noqa: S704 - escaped


OWN = (
    Word("recipe", "a TOML file with the choices for a build; a shipped recipe is also called a pipeline", ("recipe", "recipes")),
    Word(
        "target",
        "the device, and optionally the runtime, to build for: `--target DEVICE[:RUNTIME]`, or `DEVICE:all` for every runtime in "
        "its file",
        ("target", "targets"),
    ),
    Word("device", "any hardware that a device file describes"),
    Word("board", "a device that edgecnn reaches over SSH (`--host`)", ("board", "boards")),
    Word(
        "runtime",
        "the library that runs a model: `onnxruntime`, `openvino`, `tensorrt`, `ncnn`, `litert`, in a browser `wasm` or "
        "`webgpu`, and `torch` for the desktop-GPU baseline",
        ("runtime", "runtimes"),
    ),
    Word(
        "candidate",
        "one network in one precision for one runtime, such as `onnxruntime-int8`",
        ("candidate", "candidates"),
    ),
    Word("kit", "the folder for one candidate: model, runner, labels and self-test data", ("kit", "kits")),
    Word("golden images", "images in a kit with recorded pixels and logits, for the self-test", ("golden images",)),
    Word("runner", "the small program in a kit that predicts, tests and measures", ("runner",)),
    Word(
        "bundle",
        "the files that you ship: the chosen kit (all eligible kits if the choice is provisional) and a manifest",
        ("bundle", "bundles"),
    ),
    Word("engine", "a network compiled by TensorRT for one GPU", ("engine", "engines")),
    Word("store", "the cache of finished build steps and measurements (`$EDGECNN_STORE`)", ("store",)),
    Word(
        "step, artifact, key",
        "one part of a build, its stored result, and the SHA-256 of everything that determines the result",
        ("artifact", "artifacts"),
    ),
    Word(
        "ladder",
        "the order in which candidates are built: fp32, fp16 or bf16, INT8, then mixed precision if needed",
        ("ladder",),
    ),
    Word("rung", "one step of the ladder", ("rung", "rungs")),
    Word("baseline", "the fp32 candidate that accuracy drops are measured from (`onnxruntime-fp32`)", ("baseline",)),
    Word(
        "desktop-GPU baseline",
        "the same network, timed on this machine's desktop GPU for comparison; it never ships",
        ("desktop-GPU baseline",),
    ),
    Word(
        "accuracy drop, `drop_pp`",
        "top-1 lost against the baseline on the same images, in percentage points (pp)",
        ("accuracy drop", "drop_pp", "drop", "drops"),
    ),
    Word(
        "accuracy budget",
        "the largest estimated drop that a chosen candidate may have (default: 1 pp)",
        ("accuracy budget", "budget"),
    ),
    Word("eligible", "built, allowed by the target, and within the accuracy budget", ("eligible",)),
    Word(
        "objective",
        "the quantity that the choice optimizes: `latency`, `throughput`, `energy` or `size`",
        ("objective",),
    ),
    Word(
        "final choice (`settled`)",
        "a choice after a race on the device, with an expected regret of at most 2 %",
        ("final choice", "settled"),
    ),
    Word(
        "provisional choice (`provisional`)",
        "a choice made before the device was measured",
        ("provisional choice", "provisional", "provisionally"),
    ),
    Word(
        "expected regret",
        "how much worse than the best candidate the choice is expected to be, as a share of its latency or other objective",
        ("expected regret", "regret"),
    ),
    Word(
        "calibration set",
        "images that INT8 ranges are estimated from; training uses them too",
        ("calibration set", "calibration images"),
    ),
    Word(
        "gate",
        "a limit on one metric that a build must meet, such as `--max p99_ms=20`; the number is its bound",
        ("gate", "gates"),
    ),
    Word(
        "`advisory`, `when-measured`, `always`", "whether UNSURE and MISSING count against a gate", ("advisory", "when-measured")
    ),
    Word("verdict", "PASS, FAIL, UNSURE or MISSING", ("verdict", "verdicts")),
    Word("PASS", "the whole interval is on the good side of the bound", ("PASS",)),
    Word("FAIL", "the whole interval is on the bad side of the bound", ("FAIL",)),
    Word("UNSURE", "the interval includes the bound; more data would decide", ("UNSURE",)),
    Word("MISSING", "not measured", ("MISSING",)),
    Word(
        "shown to have learned",
        "the 95 % interval of top-1 (or mAP) is above chance; otherwise nothing passes",
        ("shown to have learned",),
    ),
    Word("sample, run, round", "one timed call; one process that times one kit; one run of each candidate"),
    Word("race", "a latency comparison in which candidates take turns", ("race", "races")),
    Word(
        "first race",
        "the race before the choice; its times are estimates and have no interval",
        ("first race",),
    ),
    Word(
        "final race",
        "the race after the choice, of the chosen candidate, fp32 and the best other precision; the report shows its times",
        ("final race",),
    ),
    Word("profile", "one dated measurement of one kit on one machine, with every sample", ("profile", "profiles")),
    Word(
        "executed precision (residency)",
        "the share of operations that really ran in each precision",
        ("executed precision", "residency"),
    ),
    Word(
        "equivalent model (twin)",
        "a model in ONNX Runtime that replaces an engine that cannot run here",
        ("equivalent model", "twin"),
    ),
    Word(
        "thread and runtime settings (knobs)",
        "settings that change speed but not output",
        ("thread and runtime settings", "knobs"),
    ),
    Word("evidence", "a record of reference measurements from one machine", ("evidence",)),
    Word(
        "dated reference",
        "evidence from the same kind of device, shown next to a build; it does not count towards any gate",
        ("dated reference", "dated references"),
    ),
    Word(
        "doubted label",
        "a label that `edgecnn data doubt` finds probably wrong",
        ("doubted label", "doubted labels"),
    ),
)
SOURCES = (
    Word("`measured`", "observed on the named machine with the shipped files", ("measured",)),
    Word("`emulated`", "computed on another machine or on an equivalent model", ("emulated",)),
    Word("`planned`", "announced by the program that builds an engine; nothing ran", ("planned",)),
    Word("`predicted`", "computed from a model of the device; nothing ran", ("predicted",)),
    Word("`counted`", "computed from the shapes of the layers; nothing ran", ("counted",)),
    Word("`published`", "reported by the authors of a network; nothing ran here", ("published",)),
    Word("`by-definition`", "known without a measurement, such as the drop of a kit against itself", ("by definition",)),
    Word("`missing`", "not measured; the report gives the reason", ("missing",)),
)
WORDS = (*OWN, *SOURCES)
_BY_FORM = {form: word for word in OWN for form in word.forms}
_BY_MARK = {form: word for word in SOURCES for form in word.forms}
_BY_ID = {word.id: word for word in WORDS}
_SPELLINGS = "|".join(
    f"[{form[0]}{form[0].upper()}]{re.escape(form[1:])}" for form in sorted(_BY_FORM, key=len, reverse=True)
)  # the longest first, so that *desktop-GPU baseline* is found before *baseline*
_FORM = re.compile(rf"(?<![\w/.&-])(?:{_SPELLINGS})(?![\w/-])")
_TAGS_AND_TEXT = re.compile(r"<[^>]*>|[^<]+")
_TAG = re.compile(r"<(/?)([a-z0-9]+)")
_LINK = re.compile(r'href="#(word-[A-Za-z0-9-]+)"')
_UNLINKED = {"a", "button", "code", "h1", "pre", "summary", "svg"}
_HEADINGS = {"h2", "h3"}
_NAMES = ('class="hidden"', 'class="file"', 'scope="row"', 'scope="rowgroup"')
"""Attributes of elements in which a word is a title, a command, or part of a name from the user."""
_MARK = '<span class="word">'
"""Start of the mark of a figure. Only inside a mark do *measured* and *predicted* state the source of a figure."""


def linked(page: str) -> tuple[str, tuple[Word, ...]]:
    """Link the first use of each word in the main part of a page. Also return the words that the page links.

    A heading is linked only if no text uses the word.
    """
    head, opening, rest = page.partition("<main")
    main, closing, foot = rest.partition("</main>")
    main, done = opening + main, set[Word]()
    for unlinked in (_UNLINKED | _HEADINGS, _UNLINKED):
        main = "".join(_linked_parts(_TAGS_AND_TEXT.findall(main), unlinked, done))
    used = {_BY_ID[anchor] for anchor in _LINK.findall(main)}
    return head + main + closing + foot, tuple(word for word in WORDS if word in used)


def _linked_parts(parts: Iterable[str], unlinked: Set[str], used: set[Word]) -> Iterator[str]:
    inside, depth, in_mark = "", 0, False

    def link(text: str, word: Word | None) -> str:
        if word is None or word in used:
            return text
        used.add(word)
        meaning = escape(word.meaning.replace("`", ""))
        return f'<a class="term" href="#{word.id}" title="{meaning}">{text}</a>'

    for part in parts:
        tag = _TAG.match(part)
        if tag is None:
            if inside:
                yield part
            elif in_mark:
                yield link(part, _BY_MARK.get(part))
            else:
                yield _FORM.sub(lambda match: link(match[0], _word_of(match[0])), part)
            continue
        closes, name = tag.groups()
        in_mark = part == _MARK or (in_mark and part != "</span>")
        if not inside and not closes and (name in unlinked or any(mark in part for mark in _NAMES)):
            inside = name
        if name == inside:
            depth += -1 if closes else 1
            inside = inside if depth else ""
        yield part


def _word_of(form: str) -> Word:
    return _BY_FORM.get(form) or _BY_FORM[form[0].lower() + form[1:]]
