"""Secrets of a working tree, for the command line: which keys, which rules, which files; where the clock is read."""

from __future__ import annotations

import getpass
import os
import secrets
import stat
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters.git.checkout import Worktree
from reconciler.adapters.private_files import EVERYONE_READS, make_private, write_whole
from reconciler.adapters.sops import age, formats, merging, opening, rules, rules_file, sealing, verification
from reconciler.adapters.sops.editor import Editor
from reconciler.adapters.sops.keyring import Keyring
from reconciler.core.cleartext import Cleartext
from reconciler.core.problem import Invalid, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from reconciler.adapters.sops.metadata import Metadata
    from reconciler.adapters.sops.opening import Opened
    from reconciler.adapters.sops.verification import Verified

MERGE_DRIVER = "opsctl-sops"
PATTERN = r"\.sops\.(ya?ml|json|env|ini)$"
_ATTRIBUTES = tuple(f"*.sops.{suffix} merge={MERGE_DRIVER}" for suffix in ("yaml", "yml", "json", "env", "ini"))


def keyring() -> Keyring:
    """The keys of whoever runs this; passphrases are asked for on the terminal, where there is one."""
    return Keyring.from_environment(os.environ, _ask)


def verify(directory: Path, *, opened: bool) -> list[Verified]:
    """Every secret of a working tree. `opened`: with the keys at hand, else by what can be seen without."""
    tree = Worktree.at(directory)
    return verification.verify(tree.files(), keyring() if opened else None)


def edit(file: Path, again: Callable[[str], bool]) -> bool:
    """Have a person edit a file, which is made where there is none; whether it was changed.

    `again` is told what is wrong with what the person left, and says whether to go on editing.
    """
    keys = keyring()
    opened, before = _before(file, keys)
    editor = Editor(os.environ)
    with editor.open(file.name, before) as private:
        while True:
            plain = editor.edit(private)
            if plain == before and (opened is not None or not file.exists()):
                return False
            try:
                data = _sealed(file, opened, plain, keys)
                break
            except Invalid as error:
                if not again(str(error)):
                    raise
    return _write(file, data)


def resealed(file: Path, change: Callable[[bytes], bytes]) -> bytes:
    """A file, new where there is none, with its plaintext as `change` leaves it. Nothing is written."""
    keys = keyring()
    opened, before = _before(file, keys)
    return _sealed(file, opened, change(before), keys)


def rotate(files: Iterable[Path]) -> Iterator[Changed]:
    """Put files under new data keys."""
    keys = keyring()

    def rotated(file: Path) -> Changed:
        opened = _open(file, keys)
        data = sealing.rotated(opened, opened.metadata, keys, _now(), secrets.token_bytes)
        return _changed(file, data, opened.metadata)

    return (_tried(rotated, file) for file in files)


def update_keys(files: Iterable[Path]) -> Iterator[Changed]:
    """Make the recipients of files those of their rules. Where one is taken away, the data key is new as well."""
    keys = keyring()

    def updated(file: Path) -> Changed:
        opened = _open(file, keys)
        wanted = _rule(file).scheme
        if not verification.deviation(opened.metadata, wanted):
            return Changed(file, False, _names(opened.metadata))
        return _changed(file, _readdressed(opened, wanted, keys), wanted)

    return (_tried(updated, file) for file in files)


def add_recipient(name: str, directory: Path, group: int | None) -> Iterator[Changed]:
    """Let a key open what the rules of a directory are about: first the rules, then the files."""
    kind = _kind(name)
    if kind == "age":
        age.read_recipient(name)
    path, found = _rules_in(directory)
    several = [rule for rule in found.rules if len(rule.scheme.groups) > 1]
    if several and group is None:
        raise Refused(f"line {several[0].place.line} of {path} has key groups", "", "say which with --group, from 1")
    if any(len(rule.scheme.groups) < (group or 1) for rule in several):
        raise Refused(f"{path} has no key group {group}", "", "name one that is there")
    indices = [rule.index for rule in found.rules]
    write_whole(path, rules_file.with_recipient(path.read_bytes(), indices, kind, name, (group or 1) - 1), _mode(path))
    yield from update_keys(encrypted_files(directory))


def remove_recipient(name: str, directory: Path) -> Iterator[Changed]:
    """Let a key no longer open what the rules of a directory are about. What it could read, it has read."""
    kind = _kind(name)
    path, found = _rules_in(directory)
    indices = [rule.index for rule in found.rules if name in _bare_names(rule, kind)]
    if not indices:
        raise Refused(f"no rule of {path} names {name}", "", "see `age:` and `pgp:` there")
    left = rules_file.without_recipient(path.read_bytes(), indices, kind, name)
    rules.read(left, str(path))
    write_whole(path, left, _mode(path))
    yield from update_keys(encrypted_files(directory))


def encrypted_files(directory: Path) -> list[Path]:
    """The encrypted files of a working tree."""
    files = Worktree.at(directory).files()
    return [directory / path for path, data in sorted(files.items()) if verification.is_encrypted(data)]


@dataclass(frozen=True, slots=True)
class Changed:
    """A file after something was done to it, or why it was not: then it is as it was."""

    path: Path
    changed: bool
    recipients: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """What `init` came to. `key_file` is None where no new key was made; `made` says whether the rules are new, and
    `named` whether they name the recipient."""

    recipient: str
    key_file: Path | None
    rules: Path
    made: bool
    named: bool
    driver: bool


def begin(directory: Path, recipient: str | None) -> Begun:
    """Set a clone up for secrets: a key for whoever runs this, a rule where there is none, the merge driver."""
    path = directory / rules.FILE
    there = rules.read(_read(path), str(path)) if path.exists() else None
    made_key = None
    if recipient is None:
        recipient, made_key = _own_recipient()
    else:
        age.read_recipient(recipient)
    if there is None:
        write_whole(path, rules_file.first(recipient, PATTERN).encode(), EVERYONE_READS)
    named = there is None or any(recipient in _bare_names(rule, "age") for rule in there.rules)
    return Begun(recipient, made_key, path, there is None, named, install_merge_driver(directory))


def install_merge_driver(directory: Path) -> bool:
    """Have Git merge SOPS files by us, in this clone; whether the directory is one."""
    attributes = directory / ".gitattributes"
    text = attributes.read_text() if attributes.exists() else ""
    missing = [line for line in _ATTRIBUTES if line not in text.splitlines()]
    if missing:
        text += "" if not text or text.endswith("\n") else "\n"
        write_whole(attributes, (text + "".join(f"{line}\n" for line in missing)).encode(), EVERYONE_READS)
    settings = {"name": "values of SOPS files", "driver": "opsctl secret merge-driver %O %A %B %P"}
    for name, value in settings.items():
        done = subprocess.run(
            ["git", "-C", str(directory), "config", f"merge.{MERGE_DRIVER}.{name}", value],
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            return False
    return True


def merge(base: Path, ours: Path, theirs: Path, path: str) -> None:
    """Git's merge driver: the file `ours` becomes the merged one."""
    versions = (_read(base), _read(ours), _read(theirs))
    write_whole(ours, merging.merged(*versions, path, keyring(), _now(), secrets.token_bytes), _mode(ours))


def _before(file: Path, keys: Keyring) -> tuple[Opened | None, bytes]:
    """The file as it is, open, and its plaintext; a file that nobody encrypted yet is its own plaintext."""
    if not file.exists():
        _rule(file)
        return None, b""
    data = _read(file)
    if formats.is_binary(str(file)) and not verification.is_encrypted(data):
        return None, data
    if not formats.is_binary(str(file)) and formats.read(data, str(file)).metadata is None:
        return None, data
    opened = opening.open_file(data, str(file), keys)
    return opened, sealing.plaintext(opened)


def _sealed(file: Path, opened: Opened | None, plain: bytes, keys: Keyring) -> bytes:
    if opened is not None:
        return sealing.edited(opened, plain, _now(), secrets.token_bytes)
    return sealing.created(plain, str(file), _rule(file).scheme, keys, _now(), secrets.token_bytes)


def _readdressed(opened: Opened, wanted: Metadata, keys: Keyring) -> bytes:
    here, there = opened.metadata.groups, wanted.groups
    removed = len(here) != len(there) or any(one.names - two.names for one, two in zip(here, there, strict=True))
    if removed:
        scheme = replace(opened.metadata, groups=there, threshold=wanted.threshold)
        return sealing.rotated(opened, scheme, keys, _now(), secrets.token_bytes)
    kept = (replace(each, foreign=before.foreign) for before, each in zip(here, there, strict=True))
    return sealing.readdressed(opened, replace(wanted, groups=tuple(kept)), keys, _now(), secrets.token_bytes)


def _tried(change: Callable[[Path], Changed], file: Path) -> Changed:
    """What came of one file, so that the others have their turn."""
    try:
        return change(file)
    except (Invalid, Refused, Unavailable) as problem:
        return Changed(file, False, (), str(problem))


def _changed(file: Path, data: bytes, scheme: Metadata) -> Changed:
    return Changed(file, _write(file, data), _names(scheme))


def _names(scheme: Metadata) -> tuple[str, ...]:
    return tuple(str(recipient) for recipient in scheme.recipients)


def _rule(file: Path) -> rules.Rule:
    """The rule for a file, of the nearest `.sops.yaml` above it."""
    absolute = file.absolute()
    for folder in absolute.parents:
        path = folder / rules.FILE
        if path.is_file():
            found = rules.read(_read(path), str(path))
            rule = replace(found, folder="").of(absolute.relative_to(folder).as_posix())
            if rule is None:
                raise Refused(f"no rule of {path} is for {file}", "", "add one, with a path_regex that is found in it")
            return rule
        if (folder / ".git").exists():
            break
    raise Refused(f"nothing says to whom {file} is encrypted", "", "`opsctl secret init` makes a .sops.yaml")


def _rules_in(directory: Path) -> tuple[Path, rules.Rules]:
    path = directory / rules.FILE
    if not path.is_file():
        raise Refused(f"{path} is not there", "", "name the repository's directory, or `opsctl secret init`")
    return path, rules.read(_read(path), str(path))


def _bare_names(rule: rules.Rule, kind: str) -> set[str]:
    return {each.name for each in rule.scheme.recipients if each.kind == kind}


def _kind(name: str) -> str:
    return "age" if name.startswith(("age1", "ssh-")) else "pgp"


def _own_recipient() -> tuple[str, Path | None]:
    """The public half of the key at hand, and the file of a new one where there was none."""
    found = [each for each in keyring().identities if each.recipient.startswith("age1")]
    if found:
        return found[0].recipient, None
    path = Path(os.environ.get("SOPS_AGE_KEY_FILE") or _usual_key_file())
    made = age.new_identity()
    make_private(path.parent)
    write_whole(path, f"# public key: {made.recipient}\n{made.key}\n".encode())
    return made.recipient, path


def _usual_key_file() -> Path:
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "sops" / "age" / "keys.txt"


def _open(file: Path, keys: Keyring) -> Opened:
    return opening.open_file(_read(file), str(file), keys)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unavailable(str(file), error.strerror or str(error)) from error


def _write(file: Path, data: bytes) -> bool:
    """Whether that changed anything."""
    if file.exists() and _read(file) == data:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, data, _mode(file))
    return True


def _mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode) if file.exists() else EVERYONE_READS


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ask(what: str) -> Cleartext | None:
    if not sys.stdin.isatty():
        return None
    return Cleartext(getpass.getpass(f"Passphrase of {what}: ").encode())
