"""Files, directories and links, what stands in them and where it comes from."""

from __future__ import annotations

from typing import Optional

from agent.contract.codec import Wire, described
from agent.contract.inputs import fields
from agent.contract.record import dataclass

_REVISION = "^[A-Za-z0-9_][A-Za-z0-9_.+/-]*$"


@dataclass(frozen=True)
class FileInputs(Wire):
    """A regular file with exactly this content."""

    path: str = fields.path()
    content: Optional[str] = fields.content()
    source: Optional[str] = fields.source()
    template: bool = fields.template()
    mode: Optional[str] = fields.mode()
    owner: Optional[str] = fields.owner()
    group: Optional[str] = fields.group()
    state: str = fields.state()
    validate: Optional[str] = described(
        "Command that must end 0 before new content lands; %s is its path. No shell; not run in a sandbox.", None
    )
    backup: bool = described("Keep the former content beside the file, as .NAME.opsctl-old.", False)


@dataclass(frozen=True)
class DownloadInputs(Wire):
    """A file from the web, known by its digest."""

    path: str = fields.path()
    url: str = described("Where it is fetched from, over https or http. Required unless absent.", "")
    sha256: str = described("SHA-256 of the content, as 64 hexadecimal digits. Required unless absent.", "")
    max_bytes: int = described("A longer answer is not taken.", 1 << 30)
    mode: Optional[str] = fields.mode()
    owner: Optional[str] = fields.owner()
    group: Optional[str] = fields.group()
    state: str = fields.state()


@dataclass(frozen=True)
class ArchiveInputs(Wire):
    """A directory with what a tar or zip archive holds."""

    path: str = described("Absolute path of the directory.")
    source: Optional[str] = described("A file of the config repository that is the archive.", None)
    url: str = described("Or where the archive is fetched from, over https or http.", "")
    sha256: str = described("SHA-256 of the archive at `url`, as 64 hexadecimal digits.", "")
    strip_components: int = described("How many leading parts of each name are left out.", 0)
    max_bytes: int = described("Neither a larger archive is taken nor one that holds more.", 1 << 30)
    owner: Optional[str] = described("Owning user of all of it; unmanaged where absent.", None)
    group: Optional[str] = described("Owning group of all of it; unmanaged where absent.", None)
    state: str = fields.state()


@dataclass(frozen=True)
class DirectoryInputs(Wire):
    """A directory. Absent removes it only when it is empty."""

    path: str = fields.path()
    mode: Optional[str] = fields.mode()
    owner: Optional[str] = fields.owner()
    group: Optional[str] = fields.group()
    state: str = fields.state()


@dataclass(frozen=True)
class LinkInputs(Wire):
    """A symbolic link."""

    path: str = described("Absolute path of the link.")
    target: Optional[str] = described("What the link says; required unless absent.", None)
    state: str = fields.state()


@dataclass(frozen=True)
class LineInputs(Wire):
    """One line of a file that others own too."""

    path: str = described("Absolute path of the file.")
    line: str = described("The line, without its line end.")
    match: Optional[str] = described("Regular expression; the last line that it matches is the one replaced.", None)
    create: bool = fields.create()
    state: str = fields.state()


@dataclass(frozen=True)
class BlockInputs(Wire):
    """Lines between two marks in a text file that others own too."""

    path: str = described("Absolute path of the file.")
    name: str = described("Tells this block from others in the file; stands in its marks.", pattern=fields.WORD)
    content: str = described("The lines between the marks.", "")
    comment: str = described("What a comment of this file begins with.", "#")
    create: bool = fields.create()
    state: str = fields.state()


@dataclass(frozen=True)
class GitInputs(Wire):
    """A checkout of a Git repository at a revision."""

    path: str = described("Absolute path of the checkout.")
    remote: str = described("URL or path of the repository; without a password.", pattern="^[^-].*$")
    revision: str = described("A branch, a tag, or the whole name of a commit.", "HEAD", pattern=_REVISION)
    owner: Optional[str] = described("Whom it belongs to, and whom git runs as; root where absent.", None)
    force: bool = described("Whether what was changed there may go.", False)
