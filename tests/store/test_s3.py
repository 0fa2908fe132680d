"""A real S3 server, writers and collections at once, and permissions that are lacking."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import botocore.session
import pytest
import s3fs
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from edgecnn.errors.store import RemoteUnusable
from edgecnn.render.progress import Quiet
from edgecnn.store.gc import collect_remote
from edgecnn.store.listing import verify
from edgecnn.store.remote import Remote
from edgecnn.store.remote_files import RemoteFiles
from edgecnn.store.store import Store
from edgecnn.store.transfer import pull, push
from tests.store.test_profiles import a_profile
from tests.store.toys import Quantize, Train, files_in, obtain

pytestmark = pytest.mark.slow  # a real S3 server


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


def test_pushes_and_collections_at_once_leave_one_whole_store(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each push finds old files there, which no list names yet and which are taken away before it writes its lists."""
    stores = [filled(tmp_path / "one", 1, 2, 3), filled(tmp_path / "two", 2, 3, 4)]
    for store in stores:
        push(store, Remote(bucket), Quiet())
    s3 = s3fs.S3FileSystem(skip_instance_cache=True)
    s3.rm(f"{bucket}/entries", recursive=True)  # as where a push was killed: its files are there, and left unsent
    aged(bucket, days=3)
    real, taken = RemoteFiles.write, list[int]()

    def late(self: RemoteFiles, path: str, content: bytes) -> None:
        if path.startswith("entries/") and len(taken) < 3:
            taken.append(len(collect_remote(Remote(bucket)).removed))
        real(self, path, content)

    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as pool:
        patched.setattr(RemoteFiles, "write", late)
        sent = list(pool.map(lambda store: push(store, Remote(bucket), Quiet()), stores))
    assert sum(taken) > 0 and sum(each.bytes for each in sent) > 0, "what was taken away was sent again"
    third = Store.open(tmp_path / "three")
    fetched = pull(third, Remote(bucket), Quiet())
    assert (fetched.entries, fetched.left) == (4 + 1, ())
    assert verify(third, Quiet()).ok
    aged(bucket, days=2)
    assert collect_remote(Remote(bucket), older_than_s=0).kept_bytes == 0
    assert s3.find(bucket) == []


def aged(bucket: str, days: float) -> None:
    found = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket.split("/")[2]]
    for each in found.keys.values():
        each.last_modified -= timedelta(days=days)


def test_who_may_not_delete_removes_nothing(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push(filled(tmp_path / "one", 1), Remote(bucket), Quiet())
    before = set(s3fs.S3FileSystem(skip_instance_cache=True).find(bucket))
    iam = botocore.session.get_session().create_client("iam")
    iam.create_user(UserName="guest")
    allowed = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject", "s3:PutObject"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="guest", PolicyName="all-but-delete", PolicyDocument=policy)
    key = iam.create_access_key(UserName="guest")["AccessKey"]
    with monkeypatch.context() as guest:
        guest.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
        guest.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        guest.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        with pytest.raises(RemoteUnusable, match=r"cannot be used: deleting trash/\w+-clock: ") as caught:
            collect_remote(Remote(bucket), older_than_s=0, grace_s=0)
    assert key["SecretAccessKey"] not in caught.value.line()
    assert before <= set(s3fs.S3FileSystem(skip_instance_cache=True).find(bucket))
