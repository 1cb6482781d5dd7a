"""Needs: what a document asks for that this system does not have, step by step."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.documents.plugins import PLUGINS
from reconciler.documents.runbook import Runbook
from reconciler.documents.runbook.references import texts
from reconciler.documents.runbook.runbook import walk
from reconciler.documents.runbook.ssm_calls import is_answered
from reconciler.documents.steps import elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.core.problem import Place
    from reconciler.documents.document import Document
    from reconciler.documents.runbook import Step
    from reconciler.documents.steps import ReadyStep


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a step (by name; empty for the whole document) needs: in one word, in a sentence, and where.

    The word is `aws`, `SecureStrings`, `sessions`, `packages`, `windows`, `platform`, `agent` for what agents of this
    version do not know yet, or `script` where there is none to run.
    """

    step: str
    action: str
    what: str
    message: str
    place: Place


def needs(document: Document) -> tuple[Need, ...]:
    """Everything that keeps a valid document from running here, in the order of its steps."""
    if isinstance(document.content, Runbook):
        return tuple(_of_runbook(document.content))
    if document.type in _WHOLE:
        what, message = _WHOLE[document.type]
        return (Need("", "", what, message, document.places.of(("schemaVersion",))),)
    return tuple(_of_steps(document))


_WHOLE = {
    "Session": ("sessions", "sessions are not opened by this version"),
    "Package": ("packages", "packages are not distributed by this version"),
}
_OF_S3 = "S3 is a service of AWS's: nodes read what anybody may, or what credentials of their own let them"
_LACKING = {
    "aws": "it is a service of AWS's: the extra `aws` calls it, with an account",
    "packages": "packages are not distributed by this version",
    "windows": "it runs on Windows only",
}


def _of_steps(document: Document) -> Iterator[Need]:
    """Of a Command. Steps that are skipped on the nodes there are need nothing, unless there are no others."""
    here = [ready for ready in document.steps if not elsewhere(ready.step.precondition)]
    for ready in here or document.steps:
        for what, message, loc in _of_step(ready):
            yield Need(ready.step.name, ready.step.action, what, message, document.places.of(loc))


def _of_step(ready: ReadyStep) -> Iterator[tuple[str, str, Any]]:
    step, inputs = ready.step, ready.inputs_loc
    plugin = PLUGINS.get(step.action)
    if elsewhere(step.precondition):
        platform = next(side for side in (step.precondition or {})["StringEquals"] if side != "platformType")
        what = "windows" if platform == "Windows" else "platform"
        yield what, f"it runs on {platform} only", (*ready.loc, "precondition")
    elif plugin and plugin.lacks:
        yield plugin.lacks, _LACKING[plugin.lacks], (*ready.loc, "action")
    elif ready.missing:
        yield "agent", ready.missing.message, (*ready.loc, "action")
    if step.action == "aws:downloadContent" and ready.tree.get("sourceType") == "S3":
        yield "aws", _OF_S3, (*inputs, "sourceType")
    yield from _secrets(ready.tree, inputs)
    yield from _secrets(step.precondition, (*ready.loc, "precondition"))


def _secrets(tree: Any, loc: Any) -> Iterator[tuple[str, str, Any]]:
    for below, text in texts(tree):
        if found := _SECRET.search(text):
            yield "SecureStrings", f"`{found[1]}` is kept encrypted, which this version does not do", (*loc, *below)


_SECRET = re.compile(r"\{\{\s*((?:resolve:)?ssm-secure:[^}\s]+)\s*\}\}")


def _of_runbook(runbook: Runbook) -> Iterator[Need]:
    for step in walk(runbook.steps):
        for what, message, loc in _of_automation_step(step):
            yield Need(step.name, step.action, what, message, runbook.places.of((*step.loc, *loc)))


def _of_automation_step(step: Step) -> Iterator[tuple[str, str, Any]]:
    inputs = step.inputs
    if step.action in _OF_AWS:
        yield "aws", _LACKING["aws"], ("action",)
    elif step.action in _CALLS and str(inputs.get("Service", "")).lower() != "ssm":
        yield "aws", f"it calls AWS's `{inputs.get('Service')}`: {_CALLING}", ("inputs", "Service")
    elif step.action in _CALLS and "{{" not in (api := str(inputs.get("Api", ""))) and not is_answered(api):
        yield "aws", f"`{api}` of SSM's API is not answered here", ("inputs", "Api")
    elif "TargetLocations" in inputs:
        yield "aws", "it runs in other accounts and regions of AWS", ("inputs", "TargetLocations")
    elif step.action == "aws:executeScript" and (found := _SDK.search(str(inputs.get("Script", "")))):
        yield "aws", f"its script uses `{found[1]}`: {_CALLING}", ("inputs", "Script")
    elif step.action == "aws:executeScript" and (why := _no_program(inputs)):
        yield "script", why, ("inputs", "Script")
    yield from _secrets(inputs, ("inputs",))


def _no_program(inputs: Mapping[str, Any]) -> str:
    """Why a step's script is none, as the placeholder of a template that was never filled in; empty where it is one."""
    script, runtime = inputs.get("Script"), str(inputs.get("Runtime", ""))
    if not isinstance(script, str) or not runtime.lower().startswith("python") or "{{" in script:
        return ""
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(script)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = f"{error.msg} in its line {error.lineno}" if isinstance(error, SyntaxError) else str(error)
        return f"what stands for its script is no Python: {what}"
    return ""


def lacking(action: str) -> str:
    """What an action of Automation documents needs whatever its inputs are, or for most services; empty for nothing."""
    return "aws" if action in _OF_AWS | _CALLS else ""


_CALLING = "the extra `aws` does, with an account"
_CALLS = frozenset({"aws:assertAwsResourceProperty", "aws:executeAwsApi", "aws:waitForAwsResourceProperty"})
_OF_AWS = frozenset(
    f"aws:{name}"
    for name in (
        "copyImage",
        "createImage",
        "createStack",
        "createTags",
        "deleteImage",
        "deleteStack",
        "executeStateMachine",
        "invokeLambdaFunction",
        "runInstances",
    )
)
_SDK = re.compile(r"(?im)^\s*(?:import|from|import-module)\s+(boto3|botocore|AWS[\w.]*)")
