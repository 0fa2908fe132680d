from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import NOT_OVERWRITTEN
from edgecnn.errors.fit import MEMBERS_DIFFER, ONE_MEMBER
from edgecnn.planning.recipe import apply_overrides
from edgecnn.render.progress import Quiet
from edgecnn.render.screens.studies import ensemble_lines
from edgecnn.studies.ensemble import make_ensemble
from edgecnn.studies.facts import Ensemble
from edgecnn.studies.look import LookRequest, look_into
from edgecnn.studies.ten_crop import ten_crop
from edgecnn.values.preprocessing import Normalization, PixelRecipe
from edgecnn.values.recipe import DataChoice, Recipe
from tests.building.built_networks import BuiltNetworks
from tests.graph.planted import planted


@pytest.fixture
def networks(tmp_path: Path) -> BuiltNetworks:
    return BuiltNetworks(tmp_path)


def made(networks: BuiltNetworks, *folders: Path) -> Ensemble:
    return make_ensemble(folders, networks.folder / "e.onnx", networks.store, Quiet())


def mute() -> object:
    """Answers red to everything."""
    return planted(gain=0)


def test_cost_is_summed_and_gain_is_counted_on_the_same_images(networks: BuiltNetworks) -> None:
    a, b = networks.build("a"), networks.build("b", mute())
    found = made(networks, a, b)
    assert found.whole.macs == sum(row.macs for row in found.members) == 2 * found.members[0].macs
    assert found.whole.parameters == sum(row.parameters for row in found.members)
    assert [row.accuracy_top1.estimate for row in found.members if row.accuracy_top1] == pytest.approx([1, 1 / 3])
    assert (found.best, found.images) == (str(a), 6)
    assert (
        found.difference_pp is not None
        and found.difference_pp.estimate == 0
        and found.difference_pp.low < 0 < found.difference_pp.high
    )
    said = "e.onnx: the mean of 2 networks' probabilities; 2.0× the multiply-adds of the most expensive member"
    assert ensemble_lines(found)[0].endswith(said)


def test_the_command_states_how_the_file_is_fed(networks: BuiltNetworks) -> None:
    other = Normalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    command = made(networks, networks.build("a", normalization=other), networks.build("b")).command
    assert f"--model {networks.folder / 'e.onnx'} " in command
    assert "'preprocessing.mean=[0.5, 0.5, 0.5]' --set 'preprocessing.std=[0.25, 0.25, 0.25]'" in command
    assert command.endswith("--set 'preprocessing.interpolation=\"bicubic\"' --set preprocessing.resize_px=16")


def test_the_command_gives_the_members_images_in_their_roles(networks: BuiltNetworks) -> None:
    data = DataChoice(path="photos", seed=3, calibration_images=7, validation_share=0.3, test_share=0.1, classes="folders")
    recipe = Recipe(data=data)
    words = shlex.split(made(networks, networks.build("a", recipe=recipe), networks.build("b", recipe=recipe)).command)
    path = words[words.index("--data") + 1]
    said = [value for name, value in zip(words, words[1:], strict=False) if name == "--set"]
    asked = apply_overrides(Recipe(), said).data
    assert asked.model_copy(update={"path": path}) == data
    assert "train" in asked.model_fields_set and asked.train, "what a file of unknown training is reported on otherwise"


def test_members_that_were_not_trained_have_no_role_train_to_keep(networks: BuiltNetworks) -> None:
    recipe = Recipe(data=DataChoice(path="photos", train=False))
    assert "data.train" not in made(networks, networks.build("a", recipe=recipe), networks.build("b", recipe=recipe)).command


def test_members_of_other_images_or_roles_are_refused(networks: BuiltNetworks) -> None:
    a, b = networks.build("a"), networks.build("b", content="e" * 64)
    with pytest.raises(EdgecnnError, check=MEMBERS_DIFFER.made) as raised:
        made(networks, a, b)
    fields, root = raised.value.fields, networks.photos
    assert (fields["what"], list(fields["values"])) == (
        "images",
        [f"{root} (images and roles dddddddddddd…)", f"{root} (images and roles eeeeeeeeeeee…)"],
    )


def test_gc_takes_nothing_meanwhile(networks: BuiltNetworks) -> None:
    began: list[float] = []

    class Ear(Quiet):
        def step(self, *args: object, **more: object) -> None:
            began.append(networks.store.in_use.since())

    make_ensemble([networks.build("a"), networks.build("b")], networks.folder / "e.onnx", networks.store, Ear())
    ten_crop(networks.build("c"), networks.store, Ear())
    look_into(networks.build("d"), networks.folder / "look", LookRequest(1, 1), networks.store, Ear())
    assert len(began) > 3 and max(began) < float("inf")


def test_a_build_with_itself_is_no_ensemble(networks: BuiltNetworks) -> None:
    a = networks.build("a")
    for folders in ((a,), (a, a), (a, networks.folder / "a" / ".." / "a")):
        with pytest.raises(EdgecnnError, check=ONE_MEMBER.made):
            made(networks, *folders)
    assert ONE_MEMBER(folders=[Path("a")]).ref == "one-member"


def test_members_answer_the_same_question_about_the_same_pixels(networks: BuiltNetworks) -> None:
    a = networks.build("a")
    b = networks.build("b", classes=("red", "blue", "green"))
    c = networks.build("c", pixels=PixelRecipe(resize_px=20, crop_px=16, interpolation="bicubic"))
    with pytest.raises(EdgecnnError, check=MEMBERS_DIFFER.made) as raised:
        made(networks, a, b)
    fields = raised.value.fields
    assert (fields["what"], list(fields["values"])) == ("classes", ["3 (red, green, blue)", "3 (red, blue, green)"])
    with pytest.raises(EdgecnnError, check=MEMBERS_DIFFER.made) as raised:
        made(networks, a, c)
    pixels = ["short side 16, crop 16, bicubic", "short side 20, crop 16, bicubic"]
    assert list(raised.value.fields["values"]) == pixels


def test_an_earlier_ensemble_is_replaced_and_another_file_is_not(networks: BuiltNetworks) -> None:
    a, b = networks.build("a"), networks.build("b", mute())
    made(networks, a, b)
    made(networks, a, b)
    (networks.folder / "e.onnx").write_bytes((networks.folder / "photos" / "red" / "0.png").read_bytes())
    with pytest.raises(EdgecnnError, check=NOT_OVERWRITTEN.made):
        made(networks, a, b)
    with (networks.folder / "e.onnx").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(EdgecnnError, check=NOT_OVERWRITTEN.made):
        made(networks, a, b)
