"""What the commands of `opsctl document` print with `--format json`."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from reconciler.cli.findings import FindingView

TypeName = Literal["Command", "Policy", "Automation", "Session", "Package"]


class NeedView(TypedDict):
    """What a step needs and this system has not; `step` is empty for the whole document.

    `needs` is `aws`, `SecureStrings`, `sessions`, `packages`, `windows`, `platform`, or `agent` for what agents of this
    version do not know.
    """

    step: str
    action: str
    needs: str
    message: str
    line: int
    column: int


class LintedDocument(TypedDict):
    """One file: whether its text became a tree, what is wrong, doubtful and lacking, and whether it runs here."""

    file: str
    parsed: bool
    errors: list[FindingView]
    warnings: list[FindingView]
    needs: list[NeedView]
    runnable: bool


class LintDocument(TypedDict):
    """`opsctl document lint`: one entry for each file, in the order given."""

    format: Literal["opsctl.lint/v1"]
    documents: list[LintedDocument]


class ListedDocument(TypedDict):
    """A document by name. `owner` is `built in` or empty; `type` is empty where the document is not valid."""

    name: str
    type: TypeName | Literal[""]
    schemaVersion: str
    owner: str
    path: str
    description: str
    runnable: bool


class DocumentsDocument(TypedDict):
    """`opsctl document list`."""

    format: Literal["opsctl.documents/v1"]
    documents: list[ListedDocument]


class _ParameterView(TypedDict):
    type: str
    required: bool


class ParameterView(_ParameterView, total=False):
    """A parameter: its constraints as the document has them, its default as a value of its type."""

    default: Any
    description: str
    allowedValues: list[Any]
    allowedPattern: str
    minChars: int
    maxChars: int
    minItems: int
    maxItems: int
    minValue: int
    maxValue: int
    displayType: str
    interpolationType: str


class DescriptionDocument(ListedDocument):
    """`opsctl document describe`."""

    format: Literal["opsctl.description/v1"]
    parameters: dict[str, ParameterView]
    needs: list[NeedView]


class _StepView(TypedDict):
    name: str
    action: str
    inputs: dict[str, Any]


class StepView(_StepView, total=False):
    """A step: its inputs as written, everything else as it takes effect. `steps` are those of a loop.

    `outputs` are declared; `gives` are all that later steps may read, by name.
    """

    description: str
    precondition: dict[str, list[str]]
    onFailure: str
    onSuccess: str
    onCancel: str
    finallyStep: bool
    timeoutSeconds: int
    maxAttempts: int
    nextStep: str
    isEnd: bool
    isCritical: bool
    outputs: list[dict[str, str]]
    gives: list[str]
    steps: list[dict[str, Any]]


EdgeView = TypedDict(
    "EdgeView",
    {
        "from": str,
        "to": str | None,
        "kind": Literal["next", "choice", "default", "failure", "cancel", "body"],
        "label": str,
    },
)
"""A way from step to step; `to` null is the end."""


class _NormalDocument(TypedDict):
    format: Literal["opsctl.document/v1"]
    name: str
    type: TypeName
    schemaVersion: str
    description: str
    assumeRole: str
    parameters: dict[str, ParameterView]
    variables: dict[str, Any]
    steps: list[StepView]
    edges: list[EdgeView]
    outputs: list[str]
    files: dict[str, Any]


class NormalDocument(_NormalDocument, total=False):
    """`opsctl document show`: the same fields whatever the schemaVersion, and those that Session and Package have."""

    sessionType: str
    inputs: dict[str, Any]
    properties: dict[str, Any]
    version: str
    publisher: str
    packages: dict[str, Any]


SSM_DOCUMENTS: dict[str, Any] = {
    "description": DescriptionDocument,
    "document": NormalDocument,
    "documents": DocumentsDocument,
    "lint": LintDocument,
}
"""Every document by the name in its `format`."""
