"""A store on a server that OpenSSH reaches: host keys count, and writers at once leave one whole store."""

import getpass
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgecnn.errors.store import RemoteUnusable
from edgecnn.render.progress import Quiet
from edgecnn.store.gc import collect_remote
from edgecnn.store.listing import verify
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.store.transfer import pull, push
from tests.hosts.sshd import Loopback, loopback, needs_sshd
from tests.store.test_s3 import filled

pytestmark = [pytest.mark.full, needs_sshd]  # an SSH server


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Which this user's own key opens, and whose host key is known."""
    with loopback(tmp_path / "sshd", "Subsystem sftp internal-sftp") as found:
        own = tmp_path / "home" / ".ssh"
        own.mkdir(parents=True, mode=0o700)
        (found.folder / "user").rename(own / "id_ed25519")
        (found.folder / "known").rename(own / "known_hosts")
        monkeypatch.setenv("HOME", str(own.parent))
        yield found


@pytest.fixture
def afar(server: Loopback, tmp_path: Path) -> str:
    return f"sftp://{getpass.getuser()}@127.0.0.1:{server.port}{tmp_path}/afar"


def test_two_writers_at_once_leave_one_whole_store_that_can_be_cleared(afar: str, tmp_path: Path) -> None:
    stores = [filled(tmp_path / "one", *range(1, 12)), filled(tmp_path / "two", *range(6, 18))]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda store: push(store, Remote(afar), Quiet()), stores))
    cleared = collect_remote(Remote(afar), grace_s=0).removed
    assert {each.what for each in cleared} <= {"blob"}, "records of who came second"
    third = Store.open(tmp_path / "three")
    fetched = pull(third, Remote(afar), Quiet())
    assert (fetched.entries, fetched.left) == (17 + 1, ())
    assert verify(third, Quiet()).ok


def test_a_list_that_was_cut_off_is_replaced(afar: str, tmp_path: Path) -> None:
    store = filled(tmp_path / "one", 1)
    push(store, Remote(afar), Quiet())
    (cut, _) = (tmp_path / "afar/entries").rglob("*.json")
    cut.write_bytes(b"")
    assert push(store, Remote(afar), Quiet()).entries == 1
    assert not list((tmp_path / "afar").rglob("*.part"))
    assert pull(Store.open(tmp_path / "two"), Remote(afar), Quiet()).entries == 2


def test_a_server_whose_host_key_is_not_known_is_not_used(afar: str, tmp_path: Path) -> None:
    (tmp_path / "home/.ssh/known_hosts").write_text("")
    with pytest.raises(
        RemoteUnusable, match=r"^the remote store sftp://…@127.0.0.1:.* cannot be used: connecting: Host key is not"
    ):
        push(filled(tmp_path / "one", 1), Remote(afar), Quiet())
    assert not (tmp_path / "afar").exists()
