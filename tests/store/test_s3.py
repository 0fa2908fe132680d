"""A real S3 server, two writers at once, and credentials that are lost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import s3fs
from moto.server import ThreadedMotoServer

from edgecnn.errors.store import RemoteUnusable
from edgecnn.render.progress import Quiet
from edgecnn.store.remote import Remote
from edgecnn.store.store import Store
from edgecnn.store.transfer import pull, push
from edgecnn.store.verify import verify
from tests.store.test_profiles import a_profile
from tests.store.toys import Quantize, Train, files_in, obtain


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    team = f"team-{tmp_path.parent.name}-{port}"
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir(team)
    yield f"s3://{team}/edgecnn"
    server.stop()


def filled(root: Path, *images: int) -> Store:
    store = Store.open(root)
    for each in images:
        obtain(store, Quantize(images=each))
    obtain(store, Train(epochs=4))
    return store


def test_two_writers_at_once_leave_one_whole_store(bucket: str, tmp_path: Path) -> None:
    stores = [filled(tmp_path / "one", *range(1, 12)), filled(tmp_path / "two", *range(6, 18))]
    stores[0].profiles.add(a_profile())
    with ThreadPoolExecutor(2) as pool:
        sent = list(pool.map(lambda store: push(store, Remote(bucket), Quiet()), stores))
    assert sum(each.entries for each in sent) >= 19
    third = Store.open(tmp_path / "three")
    fetched = pull(third, Remote(bucket), Quiet())
    assert (fetched.entries, fetched.left) == (17 + 1 + 1, ())
    assert verify(third, Quiet()).ok
    key = obtain(stores[0], Quantize(images=3))[0].key
    assert files_in(third.layout.entry("quantize", key)) == files_in(stores[0].layout.entry("quantize", key))


def test_a_bucket_that_is_gone_or_out_of_reach_is_one_line(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path / "one", 1)
    with pytest.raises(RemoteUnusable, match=r"^the remote store s3://gone/x cannot be used: writing to it: "):
        push(store, Remote("s3://gone/x"), Quiet())
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(RemoteUnusable, match="cannot be used: listing it: ") as caught:
        push(store, Remote(bucket), Quiet())
    assert "secret" not in caught.value.line()
