"""AWS's APIs, as moto has them: what is called, what comes back, what is not called."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.adapters.outside import Aws, AwsSettings
from reconciler.adapters.outside import aws as module
from reconciler.adapters.timer import SystemClock
from reconciler.core.executions import Answer

API = "aws:executeAwsApi"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # takes a second, which only these tests need

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "for-moto")


@pytest.fixture(scope="module")
def aws(endpoint: str) -> Aws:
    return Aws(AwsSettings(("ec2:*", "sts:GetCallerIdentity"), "eu-west-1", endpoint), SystemClock())


def asked(aws: Aws, service: str, api: str, **inputs: Any) -> Answer:
    return aws.perform("work-1", API, {"Service": service, "Api": api, **inputs}, None)


def test_a_volume_is_made_and_found(aws: Aws) -> None:
    made = asked(aws, "ec2", "CreateVolume", AvailabilityZone="eu-west-1a", Size="8", Encrypted="true")
    assert (made.status, made.outputs["Size"], made.outputs["Encrypted"]) == ("Success", 8, True)
    assert made.outputs["CreateTime"].startswith("20")
    found = asked(aws, "EC2", "describe_volumes", volumeIds=[made.outputs["VolumeId"]])
    assert [volume["State"] for volume in found.outputs["Volumes"]] == ["available"]
    assert "ResponseMetadata" not in found.outputs


def test_what_a_property_is_compared_with_is_not_sent(aws: Aws) -> None:
    inputs = {
        "Service": "ec2",
        "Api": "DescribeVolumes",
        "PropertySelector": "$.Volumes[0].State",
        "DesiredValues": ["x"],
    }
    assert aws.perform("work-1", "aws:waitForAwsResourceProperty", inputs, None).status == "Success"


@pytest.mark.parametrize(("service", "api", "inputs", "said"), [
    ("ec2", "DescribeVolumes", {"VolumeIds": ["vol-00000000"]}, "An error occurred (InvalidVolume.NotFound)"),
    ("ec2", "DescribeVolumes", {"Volumes": 1}, 'Unknown parameter in input: "Volumes"'),
    ("ec2", "DescribeVolume", {}, "`ec2` has no API `DescribeVolume`; did you mean DescribeVolumes?"),
    ("ec3", "DescribeVolumes", {}, "there is no service `ec3` of AWS"),
    ("s3", "ListBuckets", {}, "s3:ListBuckets needs aws: the server's settings do not allow it"),
])  # fmt: skip
def test_what_is_wrong_is_said(aws: Aws, service: str, api: str, inputs: dict[str, Any], said: str) -> None:
    answer = asked(aws, service, api, **inputs)
    assert answer.status == "Failed"
    assert said in answer.reason


def test_without_credentials_nothing_is_called(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    answer = asked(Aws(AwsSettings(("*",), "eu-west-1", endpoint), SystemClock()), "ec2", "DescribeVolumes")
    assert (answer.status, answer.reason) == ("Failed", "Unable to locate credentials")


def test_without_the_extra(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed", lambda: False)
    assert asked(aws, "ec2", "DescribeVolumes").reason == module.NEEDED


def test_other_actions(aws: Aws) -> None:
    assert aws.perform("w", "aws:fly", {}, None).reason == "Unsupported: aws:fly is no call of an API"
