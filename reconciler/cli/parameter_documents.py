"""What `opsctl param` prints with `--format json`: SSM's words, so that programs for `aws ssm` read it."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

ParameterType = Literal["String", "StringList", "SecureString"]


class _Known(TypedDict):
    """What is known of every parameter. `LastModifiedDate` is null for what is not committed."""

    Name: str
    Type: ParameterType
    Version: int
    LastModifiedDate: str | None
    LastModifiedUser: str
    DataType: str
    Tier: str
    Labels: list[str]
    Commit: str
    File: str


class DescribedParameter(_Known, total=False):
    """A parameter without its value. A resource of kind Parameter says the rest."""

    Description: str
    AllowedPattern: str
    Tags: dict[str, str]
    Policies: list[dict[str, Any]]


class ParameterView(DescribedParameter):
    """A version of a parameter. `Value` of a SecureString is its ciphertext unless decryption was asked for."""

    Value: str


class ParameterAnswer(ParameterView, total=False):
    """`Selector` is the version or label that was asked for, as `:3`."""

    Selector: str


class ParameterDocument(TypedDict):
    """`opsctl param get`."""

    format: Literal["opsctl.parameter/v1"]
    Parameter: ParameterAnswer


class ParametersDocument(TypedDict):
    """`opsctl param get-by-path`, `search`, `history` and, without values, `list`."""

    format: Literal["opsctl.parameters/v1"]
    Parameters: list[ParameterView | DescribedParameter]


class ParameterChangeDocument(TypedDict):
    """`opsctl param put`, `rm`, `mv` and `label`. `commit` is null where nothing was committed."""

    format: Literal["opsctl.parameter-change/v1"]
    files: list[str]
    message: str
    commit: str | None
    branch: str | None


class OperatorReader(TypedDict):
    """An operator that a server shows it to, and the roles that say so."""

    operator: str
    roles: list[str]


class NodeReaders(TypedDict):
    """The declared nodes that get it, by an association that refers to it."""

    association: str
    nodes: list[str]


class Readers(TypedDict):
    """Everything that can read one parameter. `keys` are those that its file is encrypted to."""

    name: str
    type: ParameterType
    keys: list[str]
    operators: list[OperatorReader]
    associations: list[NodeReaders]


class ReadersDocument(TypedDict):
    """`opsctl secret who-can-read`."""

    format: Literal["opsctl.readers/v1"]
    parameters: list[Readers]


PARAMETER_DOCUMENTS: dict[str, Any] = {
    "parameter": ParameterDocument,
    "parameters": ParametersDocument,
    "readers": ReadersDocument,
    "parameter-change": ParameterChangeDocument,
}
"""Every document by the name in its `format`."""
