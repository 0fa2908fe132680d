"""A record in plain words; and what stands of it in reports, with nobody's words taken for markup or for a terminal's orders."""

from __future__ import annotations

import pytest

from edgecnn.bundle.evidence import EvidenceVerification, EvidenceWeights
from edgecnn.render.markdown import report_markdown
from edgecnn.render.page.document import report_page
from edgecnn.render.screens.evidence import LIMITS, SEEDED_ANSWERS, record_lines, verification_lines
from edgecnn.render.screens.report import show_report
from edgecnn.render.sentences import REFERENCES, reference_lines
from edgecnn.render.terminal import show_lines
from edgecnn.results.page_facts import PageFacts
from edgecnn.values.figures import Steady
from edgecnn.values.profile import DatedReference, Environment
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Fidelity
from tests.bundle.evidence_records import EMULATED, HERE, a_network, an_emulated_kit, an_evidence, an_evidence_kit
from tests.judging.made import a_latency, an_interval
from tests.render.page.reading import read
from tests.render.reports import a_report

HARM = "\x1b[31mred\x07 <img src=x onerror=alert(1)> [a](javascript:x) `b` | c"


def a_reference(**changes: object) -> DatedReference:
    known: dict[str, object] = {
        "candidate": "onnxruntime-int8", "arch": "resnet-18", "resolution_px": 64, "classes": 1000, "weights": "seeded",
        "runtime_version": "1.23.0", "machine": "a board", "observed_at": "2026-11-20T09:00:00+00:00",
        "fidelity": Fidelity.MEASURED, "p50_ms": an_interval(2.0, 1.9, 2.1), "p99_ms": None, "runs": 8, "record_sha256": "a" * 64,
    }  # fmt: skip
    return DatedReference.model_validate({**known, **changes})


def verified(**changes: object) -> EvidenceVerification:
    known: dict[str, object] = {"path": "pi.json", "signature": "none", "record": an_evidence(sha256="a" * 64)}
    return EvidenceVerification.model_validate({**known, **changes})


def page_of(report: BuildReport) -> str:
    return report_page(PageFacts(report=report))


def test_what_a_record_claims_is_said_in_plain_words() -> None:
    assert list(verification_lines(verified())) == [
        f"pi.json: as it was written, SHA-256 {'a' * 64}; unsigned",
        "  claims: 1 network measured on a board, 2026-11-20T09:00:00+00:00, in 20 min, by edgecnn 0.1.0",
        f"  as Raspberry Pi 5 (raspberry-pi-5; its device file has the SHA-256 {'d' * 16}…)",
        "  conditions: cpu a cpu; kernel 6.12; governor performance; clocks not read",
        "  observed: throttled no",
        "  mobilenet-v3-small at 64 px, 2,542,856 parameters, 57 M multiply-adds; weights seeded: drawn from a fixed seed; "
        "nothing was learned, and no accuracy is known",
        "    onnxruntime-fp32: p50 4.00 [4.00, 4.00] ms; 8 runs, measured; onnxruntime 1.23.0; 13.4 MiB; "
        "what ran: multiply-adds 100 % in fp32",
        "    onnxruntime-int8: p50 2.00 [2.00, 2.00] ms; 8 runs, measured; onnxruntime 1.23.0; 13.4 MiB; "
        "what ran: multiply-adds 100 % in fp32",
        f"  {LIMITS}",
    ]


SAID = "does not settle: 2 of 8 runs still change in their last half"


def runs(says: str = SAID, **count: int) -> Steady:
    none = {"flat": 8, "faster": 0, "slower": 0, "unsettled": 0, "short": 0, "late": 0}
    return Steady.model_validate({**none, **count, "after_ms": None, "says": says})


@pytest.mark.parametrize("count", [{"flat": 6, "unsettled": 2}, {"flat": 1, "slower": 7, "late": 2}])
def test_runs_that_did_not_settle_or_were_timed_before_they_had_are_said(count: dict[str, int]) -> None:
    kit = an_evidence_kit(latency=a_latency(an_interval(4.0), steady=runs(**count)))
    assert f"; 8 runs, measured; {SAID}; onnxruntime" in "\n".join(record_lines(an_evidence(a_network(kit))))


def test_runs_that_were_steady_are_not_spoken_of() -> None:
    kit = an_evidence_kit(latency=a_latency(an_interval(4.0), steady=runs("steady from the start in all 8 runs")))
    assert "steady" not in "\n".join(record_lines(an_evidence(a_network(kit))))


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"signature": "good", "signer": "ann@example.com"}, "signed by ann@example.com"),
        ({"signature": "intact", "key": "SHA256:x"}, "signed by the key SHA256:x"),
        ({"signature": "unchecked"}, "signed, and nobody looked at the signature"),
    ],
)
def test_whose_word_it_is_is_said(about: dict[str, str], said: str) -> None:
    assert next(verification_lines(verified(**about))).endswith(f"; {said}")


def test_what_is_missing_emulated_disturbed_or_left_out_is_said() -> None:
    slow = an_evidence_kit(latency=a_latency(None, reason="a run has only 10 samples; a median needs 20"), residency=None)
    published = EvidenceWeights(origin="published", what="ImageNet-1k weights (X)", sha256="5c1", licence="BSD-3-Clause")
    record = an_evidence(
        a_network(an_emulated_kit(), weights=published, failed={"openvino-int8": "it fails its own test"}),
        a_network(slow),
        environment=EMULATED,
        left_out={"resnet-50": "no time was left of 30 minutes; --minutes gives more"},
        warnings=("the governor is powersave",),
    )
    text = "\n".join(verification_lines(verified(record=record)))
    assert "2 networks EMULATED, whose times are of nothing but the emulator, on a board" in text
    assert "8 runs, emulated" in text and "emulator qemu 7.2" in text
    assert "weights published: ImageNet-1k weights (X), BSD-3-Clause" in text
    assert "no time is known; 8 runs, measured; a run has only 10 samples; a median needs 20" in text
    assert "what ran in which precision is not known" in text
    assert "    no figures of openvino-int8: it fails its own test" in text
    assert "  left out: resnet-50: no time was left of 30 minutes; --minutes gives more" in text
    assert "  warning of then: the governor is powersave" in text


def test_what_seeded_weights_answer_is_not_held_against_the_machine() -> None:
    why = "they differ by up to 80.46 — this machine's Pillow or runtime computes something else [golden-logits-differ]"
    published = EvidenceWeights(origin="published", what="ImageNet-1k weights (X)")
    networks = (
        (a_network(failed={"a": why}), True),
        (a_network(failed={"a": why}, weights=published), False),
        (a_network(failed={"a": "no such instruction"}), False),
    )
    for network, said in networks:
        assert (f"    {SEEDED_ANSWERS}" in record_lines(an_evidence(network))) == said


def test_a_terminal_is_shown_another_s_control_characters_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_lines(verification_lines(verified(record=an_evidence(machine=HARM, left_out={HARM: HARM}))))
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\x07" not in said
    assert "\\x1b[31mred\\x07" in said


def test_a_reference_says_where_when_and_whose_word_it_is() -> None:
    assert reference_lines([a_reference(), a_reference(signed_by="ann@example.com", fidelity=Fidelity.EMULATED)]) == [
        "`onnxruntime-int8`: p50 2.00 [1.90, 2.10] ms; measured on a board, 2026-11-20T09:00:00+00:00, 8 runs; "
        "seeded weights, 1,000 classes, runtime 1.23.0; unsigned",
        "`onnxruntime-int8`: p50 2.00 [1.90, 2.10] ms; emulated on a board, 2026-11-20T09:00:00+00:00, 8 runs; "
        "seeded weights, 1,000 classes, runtime 1.23.0; signed by ann@example.com",
    ]


def test_on_how_many_threads_kits_ran_is_said() -> None:
    kit = an_evidence_kit(latency=a_latency(an_interval(4.0), run_settings="4 threads"))
    assert "; 8 runs (4 threads), measured; " in "\n".join(record_lines(an_evidence(a_network(kit))))
    assert ", 8 runs (4 threads); " in reference_lines([a_reference(run_settings="4 threads")])[0]


def test_a_kit_names_its_webgpu_adapter_and_its_own_date_where_that_is_another_day() -> None:
    on_nvidia = Environment(conditions={**HERE.conditions, "webgpu_adapter": "nvidia"}, observed={})
    kit = an_evidence_kit(latency=a_latency(an_interval(4.0), observed_at="2026-11-21T01:00:00+00:00"), environment=on_nvidia)
    said = "\n".join(record_lines(an_evidence(a_network(kit))))
    assert "8 runs, measured 2026-11-21T01:00:00+00:00; onnxruntime 1.23.0 on nvidia; 13.4 MiB" in said


def test_a_reference_whose_runs_did_not_settle_says_so() -> None:
    assert f"; {SAID}; unsigned" in reference_lines([a_reference(unsteady=SAID)])[0]


def test_terminal_markdown_and_page_show_it_apart_from_the_build_s_own_figures(capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(references=(a_reference(),))
    show_report(report)
    assert "  dated reference, not of this build: `onnxruntime-int8`: p50 2.00 [1.90, 2.10] ms" in capsys.readouterr().out
    assert f"## {REFERENCES}\n\n- `onnxruntime-int8`: p50 2.00 [1.90, 2.10] ms; measured on a board" in report_markdown(report)
    words = read(page_of(report)).by_id("notices").words
    assert f"{REFERENCES} onnxruntime-int8: p50 2.00 [1.90, 2.10] ms; measured on a board" in words
    for text in (report_markdown(a_report()), page_of(a_report())):
        assert REFERENCES not in text


def test_hostile_words_of_a_record_are_words_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(references=(a_reference(machine=HARM, runtime_version=HARM, signed_by=HARM),))
    show_report(report)
    markdown, page = report_markdown(report), page_of(report)
    for text in (capsys.readouterr().out, markdown, page):
        assert "\x1b" not in text and "\x07" not in text
    assert "<img" not in markdown and "](" not in markdown.replace("\\](", "")
    assert not [each for each in read(page).all("img") if each.attributes.get("src") == "x"]
