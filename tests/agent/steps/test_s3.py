"""Objects of S3: URLs of both styles, requests signed as botocore signs them, prefixes in pages, and who may read."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from agent.contract.inputs.content import S3Source
from agent.host.memory import MemoryHost
from agent.steps import s3
from agent.steps.retrieval import retrieve
from agent.steps.s3 import Credentials, Object
from agent.steps.step import StepFailed

KEYS = "[default]\naws_access_key_id = AKIA\naws_secret_access_key = se%cret\n[other]\naws_access_key_id = no\n"


@pytest.mark.parametrize(("url", "where"), [
    ("https://s3.amazonaws.com/b/a/x.sh", Object("https://s3.amazonaws.com/b", "a/x.sh", "us-east-1")),
    ("https://b.s3.amazonaws.com/a/", Object("https://b.s3.amazonaws.com", "a/", "us-east-1")),
    ("https://m.b.s3.eu-x-1.amazonaws.com/a+b", Object("https://m.b.s3.eu-x-1.amazonaws.com", "a b", "eu-x-1")),
    ("https://s3-eu-west-1.amazonaws.com/b/x", Object("https://s3-eu-west-1.amazonaws.com/b", "x", "eu-west-1")),
    ("https://s3.cn-x-1.amazonaws.com.cn/b/x", Object("https://s3.cn-x-1.amazonaws.com.cn/b", "x", "cn-x-1")),
    ("https://minio.example.com:9000/b/%C3%A4", Object("https://minio.example.com:9000/b", "\u00e4", "us-east-1")),
])  # fmt: skip
def test_where_a_url_points(url: str, where: Object) -> None:
    assert s3.located(url) == where


@pytest.mark.parametrize("url", [
    "https://b.s3.eu-west-1.amazonaws.com/a/x%20y.sh",
    "https://minio.example.com:9000/b/?list-type=2&prefix=a%2Fb%20c&continuation-token=1%2B2%3D",
])  # fmt: skip
@pytest.mark.parametrize("token", ["", "session"])
def test_requests_are_signed_as_botocore_signs_them(url: str, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = pytest.importorskip("botocore.auth", reason="botocore is not installed")
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as Theirs

    at = datetime.datetime(2026, 3, 1, 12, 30, 5, tzinfo=datetime.timezone.utc)
    monkeypatch.setattr(auth, "get_current_datetime", lambda *_, **__: at.replace(tzinfo=None))
    request = AWSRequest("GET", url, headers={"host": urlsplit(url).netloc})
    auth.S3SigV4Auth(Theirs("AKIA", "secret", token or None), "s3", "eu-west-1").add_auth(request)
    ours = s3.signed(url, "eu-west-1", Credentials("AKIA", "secret", token), "2026-03-01T12:30:05.000Z")
    assert ours["Authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]


def page(*keys: str, more: str = "") -> bytes:
    listed = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
    after = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    return f'<?xml version="1.0"?><ListBucketResult xmlns="x">{after}{listed}</ListBucketResult>'.encode()


@pytest.fixture
def host() -> MemoryHost:
    host = MemoryHost()
    host.mkdir("/srv", 0o755)
    base = "https://b.s3.amazonaws.com/"
    host.web = {
        base + "?list-type=2&prefix=a%2F": page("a/", "a/one.sh", more="t/1="),
        base + "?list-type=2&prefix=a%2F&continuation-token=t%2F1%3D": page("a/deep/two &amp; three"),
        base + "a/one.sh": b"1",
        base + "a/deep/two%20%26%20three": b"2",
        base + "?list-type=2&prefix=bad%2F": page("bad/../../etc/passwd"),
        base + "?list-type=2&prefix=none%2F": page(),
        base + "a/one.sh?X-Amz-Signature=x": b"presigned",
    }
    return host


def test_all_below_a_prefix_in_pages(host: MemoryHost) -> None:
    assert retrieve(host, "S3", S3Source("https://b.s3.amazonaws.com/a/"), "/srv/x/") == "/srv/x"
    found = {name: node.data for name, node in host.nodes.items() if node.kind == "file"}
    assert found == {"/srv/x/one.sh": b"1", "/srv/x/deep/two & three": b"2"}


def test_requests_are_signed_where_the_node_has_credentials(host: MemoryHost) -> None:
    for path in ("/root", "/root/.aws"):
        host.mkdir(path, 0o700)
    host.stage("/root/.aws/credentials", KEYS.encode(), 0o600)
    host.publish("/root/.aws/credentials")
    retrieve(host, "S3", S3Source("https://b.s3.amazonaws.com/a/one.sh"), "/srv/")
    headers = ["Authorization", "x-amz-content-sha256", "x-amz-date"]
    assert host.commands == [["fetch", "https://b.s3.amazonaws.com/a/one.sh", *headers]]
    host.commands.clear()
    retrieve(host, "S3", S3Source("https://b.s3.amazonaws.com/a/one.sh?X-Amz-Signature=x"), "/srv/")
    assert host.commands == [["fetch", "https://b.s3.amazonaws.com/a/one.sh?X-Amz-Signature=x"]]
    assert host.read("/srv/one.sh") == b"presigned"


def test_what_cannot_be_brought(host: MemoryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StepFailed, match="whose name leads out"):
        retrieve(host, "S3", S3Source("https://b.s3.amazonaws.com/bad/"), "/srv/")
    with pytest.raises(StepFailed, match="there is nothing below"):
        retrieve(host, "S3", S3Source("https://b.s3.amazonaws.com/none/"), "/srv/")

    def refused(*_: object) -> Any:
        raise OSError(5, "the server answers 403 Forbidden", "https://b.s3.amazonaws.com/a/one.sh")

    monkeypatch.setattr(host, "fetch", refused)
    with pytest.raises(StepFailed, match=r"credentials of AWS's, and /root/\.aws/credentials has none"):
        retrieve(host, "S3", S3Source("https://b.s3.amazonaws.com/a/one.sh"), "/srv/")
