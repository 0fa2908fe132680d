from __future__ import annotations

from edgecnn.errors.base import ExitCode
from edgecnn.errors.training import NothingChangesHere, NothingToPrune, NothingToReplace, SurgeryOfNothing


def test_what_a_network_has_instead_is_said_with_networks_that_fit() -> None:
    error = NothingToReplace(
        arch="mobilenet-v2",
        setting="activation=hard-swish",
        lacks="SiLU",
        has="ReLU6, and no squeeze-excite",
        fitting=("efficientnet-b0", "efficientnet-b1"),
    )
    assert error.line() == (
        "surgery.activation=hard-swish takes SiLU out of mobilenet-v2, which has none: it has ReLU6, and no squeeze-excite "
        "— --set surgery.activation=keep, or a network that has SiLU: efficientnet-b0, efficientnet-b1 [nothing-to-replace]"
    )
    assert error.exit_code == ExitCode.BAD_INPUT


def test_a_family_of_which_nobody_knows_whether_channels_can_go_names_those_of_which_they_can() -> None:
    assert NothingToPrune(arch="densenet-121", share=0.3, families=("mobilenet-v2", "resnet")).line() == (
        "surgery.pruned=0.3 takes channels out of densenet-121, which is none of the families that this was tried of: these are "
        "mobilenet-v2, resnet — --set surgery.pruned=0, or a network of one of these: edgecnn list archs [nothing-to-prune]"
    )


def test_a_changed_network_of_which_nothing_is_changed_says_what_could_be() -> None:
    assert SurgeryOfNothing().line() == (
        "surgery.instead asks for a changed network, and nothing of it is changed: activation and squeeze_excite are keep, and "
        "pruned is 0 — --set surgery.pruned=0.3, or another of the three; or --set surgery.instead=false [surgery-of-nothing]"
    )


def test_a_changed_network_that_cannot_learn_says_why() -> None:
    assert NothingChangesHere(because="there is no image to train on", command="edgecnn data inspect demo").line() == (
        "surgery.instead asks for a changed network, and none can be had: there is no image to train on "
        "— edgecnn data inspect demo [nothing-changes-here]"
    )
