"""Documents that are on a node alone, and that a step runs: where their steps come from."""

from __future__ import annotations

import dataclasses
from typing import Callable, List, Tuple

from agent.contract.codec import from_wire
from agent.contract.inputs.content import RunDocumentInputs
from agent.contract.job import DOCUMENT_LIMIT, Compile
from agent.contract.wire import Body, BodyStep
from agent.host.port import Host
from agent.state.questions import NoAnswer
from agent.steps.downloads import destination
from agent.steps.step import Given, StepFailed, why

Document = Callable[[BodyStep, int, Given], List[BodyStep]]
"""Gives the steps of the document that a step runs, so deep, under their names in its body. Raises `StepFailed`."""
Ask = Callable[[Compile], Tuple[List[BodyStep], str]]
"""Has a document compiled: its steps, or what is wrong with it. Raises `NoAnswer`, OSError."""


def no_document(step: BodyStep, depth_: int, given: Given) -> List[BodyStep]:
    """Where nobody is there to read it."""
    del depth_, given
    path = step.inputs.get("documentPath")
    raise StepFailed("the document %s is on this node; commands run such documents, associations do not" % path)


def on_node(host: Host, job_id: str, ask: Ask) -> Document:
    """Where a job asks whoever gave it out: the language has one implementation, and it is not here."""

    def document(step: BodyStep, depth_: int, given: Given) -> List[BodyStep]:
        inputs = from_wire(RunDocumentInputs, step.inputs, "inputs")
        path = destination(given.downloads, inputs.document_path)
        question = Compile(job_id, step.name, path, _text(host, path), inputs.document_parameters, depth_)
        try:
            steps, problem = ask(question)
        except NoAnswer as error:
            raise StepFailed("nobody said what %s means: %s" % (path, error), status="Cancelled") from error
        except OSError as error:
            raise StepFailed("what %s means cannot be kept: %s" % (path, why(error))) from error
        if problem:
            raise StepFailed(problem)
        return steps

    return document


def _text(host: Host, path: str) -> str:
    try:
        data = host.read(path, DOCUMENT_LIMIT + 1)
    except OSError as error:
        raise StepFailed("the document cannot be read: %s" % why(error)) from error
    if len(data) > DOCUMENT_LIMIT:
        raise StepFailed("the document %s has more than %d bytes" % (path, DOCUMENT_LIMIT))
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise StepFailed("the document %s is no text" % path) from None


def is_local(step: BodyStep) -> bool:
    """Whether a step runs a document that is on the node alone."""
    return step.inputs.get("documentType") == "LocalPath"


def with_steps(body: Body, step: BodyStep, steps: List[BodyStep]) -> Body:
    """The body with the steps of the document that a step of it runs."""
    at = body.steps.index(step) + 1
    return dataclasses.replace(body, steps=[*body.steps[:at], *steps, *body.steps[at:]])


def all_within(body: Body, step: BodyStep) -> List[BodyStep]:
    """The steps of the document that a step runs, and of those within it, as far as the body has them."""
    names, found = {step.name}, []
    for one in body.steps:
        if one.within in names:
            names.add(one.name)
            found.append(one)
    return found


def depth(body: Body, step: BodyStep) -> int:
    """How many documents the one that a step runs is within, the body's own as well."""
    by_name, found = {one.name: one for one in body.steps}, 1
    while step.within:
        step, found = by_name[step.within], found + 1
    return found
