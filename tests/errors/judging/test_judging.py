from pathlib import Path

import pytest

from edgecnn.errors.base import ExitCode
from edgecnn.errors.comparing import BuildDamaged, FolderOrPipeline, NoBuildToJudge, OptionsNotWithBuild, PlanOfAnotherBuild

BUILD = Path("builds/x")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            NoBuildToJudge(folder=BUILD, because="there is no report.json in it"),
            "builds/x is no finished build: there is no report.json in it — name the folder of a finished build, such as"
            " builds/ARCH-DEVICE, a recipe file, or a shipped pipeline [no-build-to-judge]",
        ),
        (
            FolderOrPipeline(name="demo"),
            "demo is both a shipped pipeline and the folder of a finished build here — edgecnn judge ./demo judges the folder;"
            " the pipeline is judged from another folder [folder-or-pipeline]",
        ),
        (
            OptionsNotWithBuild(folder=BUILD, options=("--arch", "--set")),
            "judging builds/x takes no --arch, --set: it is a finished build, which is judged as it was built"
            " — edgecnn judge builds/x [--max METRIC=NUMBER], or edgecnn build with these options first [options-not-with-build]",
        ),
        (
            OptionsNotWithBuild(folder=Path("my builds/x"), options=("--arch",)),
            "judging my builds/x takes no --arch: it is a finished build, which is judged as it was built"
            " — edgecnn judge 'my builds/x' [--max METRIC=NUMBER], or edgecnn build with these options first"
            " [options-not-with-build]",
        ),
        (
            PlanOfAnotherBuild(folder=BUILD, differs="train", command="edgecnn build r.toml"),
            "builds/x/plan.json is of another build than builds/x/report.json: train has another key: a later call in this"
            " folder did not come to its end — edgecnn build r.toml [plan-of-another-build]",
        ),
        (
            BuildDamaged(path=BUILD / "model.onnx", because="it is gone", command="edgecnn build r.toml"),
            "builds/x/model.onnx is not what was built: it is gone — edgecnn build r.toml [build-damaged]",
        ),
    ],
)
def test_each_says_what_why_and_what_mends_it(error: Exception, line: str) -> None:
    assert str(error) == line


def test_what_cannot_be_judged_is_bad_input_and_no_verdict() -> None:
    assert NoBuildToJudge.exit_code == BuildDamaged.exit_code == PlanOfAnotherBuild.exit_code == ExitCode.BAD_INPUT
