"""Loading documents: a repository of a thousand, as many as AWS owns itself, read and validated as a sync does it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from reconciler.capabilities.registry import DOCUMENTS, is_document
from reconciler.core.ports import Commit, Entry
from reconciler.engine.sources import Sources, Workings

NUMBER = 1_000
_ROUNDS = 9


class _Tree:
    """A repository of one commit whose blobs go by their path and round."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._blobs = {path: (f"{path}@0", data) for path, data in files.items()}

    def replace(self, path: str, data: bytes, number: int) -> None:
        self._blobs[path] = (f"{path}@{number}", data)

    def tree(self, oid: str) -> Mapping[str, Entry]:
        return {path: Entry(path, blob, "100644", len(data)) for path, (blob, data) in self._blobs.items()}

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        known = dict(self._blobs.values())
        return {oid: known[oid] for oid in oids}

    def touching(self, oid: str, folder: str, after: str | None = None) -> None:
        return None

    def first_parents(self, oid: str, limit: int) -> Iterator[Commit]:
        return iter(())


def bench() -> dict[str, list[float]]:
    """Seconds for all of them in a process that has read none, and for one that changed."""
    files = dict(_documents())
    tree = _Tree(files)
    workings = Workings()
    cold = _taken(tree, workings)
    changed = []
    for number in range(1, _ROUNDS + 1):
        path = sorted(files)[number * 97 % NUMBER]
        tree.replace(path, files[path].replace(b"made for", b"made again for"), number)
        changed.append(_taken(tree, workings))
    return {"documents.load.1k": [cold], "documents.load.1of1k": changed}


def _taken(tree: _Tree, workings: Workings) -> float:
    begun = time.perf_counter()
    read = Sources(tree, tree.tree(""), workings).read(is_document)
    taken = time.perf_counter() - begun
    assert sum(len(file.drafts) for file in read) == NUMBER, [file.broken for file in read if file.broken][:1]
    return taken


def _documents() -> Iterator[tuple[str, bytes]]:
    """Six runbooks in ten, the others Commands, a quarter of both JSON; with about as many bytes, steps and parameters
    each as public ones have on average: 4 KB, five steps of a runbook and two of a Command, four parameters.
    """
    for number in range(NUMBER):
        document = _runbook(number) if number % 10 < 6 else _command(number)
        if number % 4:
            text = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False)
            yield f"{DOCUMENTS}document-{number:04}.yaml", text.encode()
        else:
            yield f"{DOCUMENTS}document-{number:04}.json", json.dumps(document, indent=2).encode()


def _script(number: int) -> list[str]:
    return [f'echo "line {line} of {number}, made for measuring" >> /var/log/measured.log' for line in range(30)]


def _parameters() -> dict[str, Any]:
    return {
        f"Parameter{at}": {
            "type": "String",
            "description": f"(Optional) What is said of parameter {at}.",
            "default": f"value-{at}",
            "allowedPattern": "^[a-z0-9-]+$",
        }
        for at in range(4)
    }


def _command(number: int) -> dict[str, Any]:
    steps = [
        {
            "name": f"step{at}",
            "action": "aws:runShellScript",
            "precondition": {"StringEquals": ["platformType", "Linux"]},
            "inputs": {"timeoutSeconds": 600, "runCommand": ["\n".join([*_script(number), "echo {{ Parameter1 }}"])]},
        }
        for at in range(2)
    ]
    return {
        "schemaVersion": "2.2",
        "description": f"Document {number}, made for measuring",
        "parameters": _parameters(),
        "mainSteps": steps,
    }


def _runbook(number: int) -> dict[str, Any]:
    script = "def main(events, context):\n" + "".join(f"    events[{line}] = {number}\n" for line in range(60))
    steps: list[dict[str, Any]] = [
        {
            "name": f"look{at}",
            "action": "aws:executeAwsApi",
            "onFailure": "step:last",
            "timeoutSeconds": 60,
            "inputs": {
                "Service": "ssm",
                "Api": "DescribeInstanceInformation",
                "Filters": [{"Key": "tag:{{ Parameter2 }}"}],
            },
            "outputs": [{"Name": "Ids", "Selector": "$.InstanceInformationList..InstanceId", "Type": "StringList"}],
        }
        for at in range(1)
    ]
    steps += [
        {
            "name": "think",
            "action": "aws:executeScript",
            "inputs": {
                "Runtime": "python3.11",
                "Handler": "main",
                "InputPayload": {"Ids": "{{ look0.Ids }}"},
                "Script": script,
            },
            "outputs": [{"Name": "Go", "Selector": "$.Payload.go", "Type": "Boolean"}],
        },
        {
            "name": "choose",
            "action": "aws:branch",
            "inputs": {
                "Choices": [{"NextStep": "last", "Variable": "{{ think.Go }}", "BooleanEquals": True}],
                "Default": "wait",
            },
        },
        {"name": "wait", "action": "aws:sleep", "inputs": {"Duration": "PT1M"}},
        {
            "name": "last",
            "action": "aws:runCommand",
            "isEnd": True,
            "inputs": {
                "DocumentName": "AWS-RunShellScript",
                "InstanceIds": "{{ look0.Ids }}",
                "Parameters": {"commands": _script(number)[:8]},
            },
        },
    ]
    return {
        "schemaVersion": "0.3",
        "description": f"Document {number}, made for measuring",
        "assumeRole": "{{ Parameter0 }}",
        "parameters": _parameters(),
        "mainSteps": steps,
        "outputs": ["think.Go"],
    }
