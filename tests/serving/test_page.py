"""The page as text: what others named stays text, and the policy holds for exactly what is in it."""

from __future__ import annotations

import base64
import hashlib
import re

from edgecnn.bundle.answering import Limits
from edgecnn.bundle.predictions import Served
from edgecnn.render.page.served import served_page
from edgecnn.values.sandbox import Confinement
from tests.serving.conftest import HOSTILE


def test_hostile_names_of_bundle_and_kit_are_escaped() -> None:
    name = "$style</title><script>window.broken=1</script>"
    page = served_page(
        Served(bundle="x", name=name, version=1, candidate="".join(HOSTILE), classes=4, confinement=Confinement(landlock=7)),
        Limits(),
    )
    text = page.html.decode("utf-8")
    assert text.count("<script") == 1
    assert text.count("<img") == 1
    assert text.count("$style&lt;/title&gt;") == 2


def test_the_policy_names_the_digest_of_its_script_and_of_its_style_and_nothing_outside_is_named() -> None:
    page = served_page(
        Served(bundle="x", name="x", version=1, candidate="x", classes=4, confinement=Confinement(landlock=7)),
        Limits(body_bytes=1 << 19),
    )
    text = page.html.decode("utf-8")
    for element in ("script", "style"):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in page.policy
    assert "//" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert "style=" not in text, "the policy would hold it back"
    assert "Up to 0.5 MiB each" in text


def test_the_page_is_told_which_files_tools_leave_behind() -> None:
    page = served_page(
        Served(bundle="x", name="x", version=1, candidate="x", classes=4, confinement=Confinement(landlock=7)), Limits()
    )
    (names,) = re.findall(r'data-left-behind="([^"]*)"', page.html.decode("utf-8"))
    assert {"thumbs.db", "desktop.ini", "@eadir", "__macosx"} <= set(names.split("|"))
