"""What is brought to a node from elsewhere for what follows, and documents run within documents."""

from __future__ import annotations

from typing import Any, Dict, Type

from agent.contract.codec import Wire, described
from agent.contract.record import dataclass

_REVISION = "^((branch|commitID):[A-Za-z0-9_][A-Za-z0-9_.+/-]*)?$"


def _get_options() -> Any:
    return described(
        "`branch:NAME` (or a tag) or `commitID:SHA`; the default branch without it.", "", pattern=_REVISION
    )


@dataclass(frozen=True)
class GitSource(Wire):
    """A Git repository: all of it."""

    repository: str = described("URL of the repository.", pattern="^[^-].*$")
    get_options: str = _get_options()
    username: str = described("Whom an http repository is asked as.", "")
    password: str = described("The user's password, or a token.", "")
    private_SSHKey: str = described("The key of an ssh repository, as OpenSSH writes it.", "")
    skip_host_key_checking: bool = described("Take any host key of an ssh repository.", False, quoted=True)


@dataclass(frozen=True)
class GitHubSource(Wire):
    """A file, or all that is in a directory, of a repository of GitHub's."""

    owner: str = described("Whose the repository is.", pattern="^[A-Za-z0-9_.-]+$")
    repository: str = described("Its name.", pattern="^[A-Za-z0-9_.-]+$")
    path: str = described("The file or directory; everything without it.", "")
    get_options: str = _get_options()
    token_info: str = described("A token for a private repository.", "")


@dataclass(frozen=True)
class HttpSource(Wire):
    """What is at a URL."""

    url: str = described("Over https; over http where `allowInsecureDownload` says so.")
    auth_method: str = described("How the server is asked.", "None", pattern="^(None|Basic|Digest)$")
    username: str = described("As whom.", "")
    password: str = described("The user's password.", "")
    allow_insecure_download: bool = described("Whether http may be used.", False, quoted=True)


@dataclass(frozen=True)
class S3Source(Wire):
    """An object of S3's, or everything below a prefix that ends in `/`."""

    path: str = described("Its https URL.")


@dataclass(frozen=True)
class NamedDocument(Wire):
    """An SSM document by its name."""

    name: str = described("Its name, which a version may follow after a colon.")


@dataclass(frozen=True)
class DocumentSource(NamedDocument):
    """The document as the step carries it: `content` is its text, put in where the step is compiled."""

    content: str = described("Its text.", "")


SOURCES: Dict[str, Type[Wire]] = {
    "Git": GitSource,
    "GitHub": GitHubSource,
    "HTTP": HttpSource,
    "S3": S3Source,
    "SSMDocument": DocumentSource,
}
"""What `sourceInfo` is, by `sourceType`."""
SECRETS = ("password", "privateSSHKey", "tokenInfo")
"""Fields of sources that nobody is shown."""


@dataclass(frozen=True)
class DownloadContentInputs(Wire):
    """SSM's `aws:downloadContent`: files from elsewhere, for the steps that follow."""

    source_type: str = described("What kind of place it comes from.", pattern="^(GitHub|Git|HTTP|S3|SSMDocument)$")
    source_info: Dict[str, Any] = described("The place, in the words of its kind; or that as JSON text.", json=True)
    destination_path: str = described(
        "Where it is put: an absolute path, or one in the run's own directory, in which scripts run that say nothing "
        "else. A directory that is there, or a path with `/` at its end, takes a file by its own name.",
        "",
    )


@dataclass(frozen=True)
class RunDocumentInputs(Wire):
    """SSM's `aws:runDocument`: another Command document, as part of this one."""

    document_type: str = described("Where the document is.", pattern="^(SSMDocument|LocalPath)$")
    document_path: str = described(
        "Its name (SSMDocument), or its file on the node: an absolute path, or one in the run's own directory."
    )
    document_parameters: Dict[str, Any] = described("Its parameters; or that as JSON text.", {}, json=True)


DEPTH = 3
"""How deep documents may run within documents, as SSM has it."""
LOCAL_SECONDS = 172800
"""Seconds that a document on the node may take: as long as SSM lets any."""
