"""A table of nftables as a file: what opsctl writes, and what nft says of the table once it is loaded. Pure.

nft lists a table in words of its own, so that what is declared and what is loaded cannot be compared. Instead the file
ends with the digest of how nft listed the table when it was loaded: whoever changes the table changes its listing.
"""

from __future__ import annotations

import hashlib
import re
from typing import List, Optional, Tuple

_HEAD = "# Written by opsctl: what is changed here is put back.\n"
_MARK = "# nft lists it as sha256:"
_CHANGING_SET = re.compile(r"^\t(?:set|map) [^\n]*\{\n.*?^\t\}", re.MULTILINE | re.DOTALL)
_ELEMENTS = re.compile(r"^\t\telements = \{.*?\}\n", re.MULTILINE | re.DOTALL)
_CHANGES_BY_ITSELF = re.compile(r"^\t\t(?:flags [^\n]*\b(?:dynamic|timeout)\b|timeout )", re.MULTILINE)
_NOT_CODE = re.compile(r'"[^"\n]*"|#[^\n]*')


def text(family: str, name: str, body: str) -> str:
    """The file that puts the table, and only it, in place of the one that is there, in one transaction."""
    table = "table %s %s" % (family, name)
    return "%s%s\ndelete %s\n%s {\n%s\n}\n" % (_HEAD, table, table, table, body.strip("\n"))


def marked(content: str, listing: str) -> str:
    """The content with how nft listed it at its end, in place of what was noted before."""
    return "%s%s%s\n" % (split(content)[0], _MARK, digest(listing))


def split(content: str) -> Tuple[str, Optional[str]]:
    """(the content without its mark, the digest that the mark gives)."""
    before, mark, noted = content.rpartition(_MARK)
    return (before, noted.strip()) if mark else (content, None)


def digest(listing: str) -> str:
    """Of a stateless listing, without the elements of sets that packets fill or time empties."""
    return hashlib.sha256(_CHANGING_SET.sub(_without_elements, listing).encode("utf-8", "surrogateescape")).hexdigest()


def comparable(rules: str) -> bytes:
    """The lines without indentation, remarks and empty ones, so that a person sees what differs."""
    lines: List[str] = []
    for line in rules.splitlines():
        bare = line.strip().rstrip(";")
        if bare and not bare.startswith("#"):
            lines.append(bare + "\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def leaves_its_table(body: str) -> bool:
    """Whether a brace in the body closes the table that it is put in, or leaves it open."""
    depth = 0
    for mark in re.findall(r"[{}]", _NOT_CODE.sub("", body)):
        depth += 1 if mark == "{" else -1
        if depth < 0:
            return True
    return depth != 0


def _without_elements(block: "re.Match[str]") -> str:
    found = block.group()
    return _ELEMENTS.sub("", found) if _CHANGES_BY_ITSELF.search(found) else found
