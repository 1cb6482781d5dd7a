"""`opsctl secret`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.findings import view
from reconciler.cli.manual import Command, Group
from reconciler.cli.output import Format, FormatOption, counted, print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.wiring.secrets import Changed

app = typer.Typer(cls=Group, no_args_is_help=True, help="Secrets in Git, in SOPS files.")

DirectoryOption = Annotated[
    Path, typer.Option("--repo", help="The repository's working tree.", metavar="DIR", show_default="here")
]
FilesArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="[FILE]...", help="All that are encrypted, if none.")
]


@app.command(cls=Command, short_help="Set a repository up for secrets.")
def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The repository's working tree.", show_default="here")
    ] = Path(),
    recipient: Annotated[
        str | None,
        typer.Option(
            help="The public key to encrypt to (age1..., ssh-ed25519 ...); yours where left out.", metavar="KEY"
        ),
    ] = None,
    format_: FormatOption = Format.text,
) -> int:
    """Set a repository up for secrets: a rule in .sops.yaml for files named *.sops.yaml, .json, .env or .ini, and Git's
    merge driver for them. Where you have no age key, one is made, readable by you alone.

    In a clone of a repository that has rules they stay as they are: you get a key and the merge driver, and somebody
    who can open the files adds you.

    Keys are looked for where `sops` looks for them: SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_FILE,
    ~/.config/sops/age/keys.txt, ~/.ssh/id_ed25519, ~/.ssh/id_rsa.

    Examples:
      opsctl secret init
      opsctl secret edit parameters/prod/db.sops.yaml
    """
    from reconciler.wiring.secrets import begin

    begun = begin(directory, recipient)
    if format_ is Format.json:
        key_file = str(begun.key_file) if begun.key_file else ""
        values = {"recipient": begun.recipient, "keyFile": key_file, "rules": str(begun.rules)}
        flags = {"rulesMade": begun.made, "named": begun.named, "mergeDriver": begun.driver}
        print_json({"format": "opsctl.secret-init/v1", **values, **flags})
        return 0
    if begun.key_file:
        say((f"{begun.key_file}: your new key; without it, or another recipient's, nothing opens again", "yellow"))
    if begun.named:
        say(f"{begun.rules}: secrets are encrypted to {begun.recipient}")
    else:
        say((f"{begun.rules} does not name your key; somebody it names has to run:", "yellow"))
        say(f"  opsctl secret add-recipient {begun.recipient}")
    say("the merge driver is set up in this clone" if begun.driver else "no Git repository: no merge driver is set up")
    return 0


@app.command(cls=Command, short_help="Edit a file; a new one is encrypted by its rule.")
def edit(file: Annotated[Path, typer.Argument(metavar="FILE", help="An encrypted file, or a new one.")]) -> int:
    """Edit a file in your editor (SOPS_EDITOR, VISUAL, EDITOR), its values readable, and encrypt what you leave.

    What you do not touch stays as it was, byte for byte: a changed value is one line of the diff, besides
    `lastmodified` and `mac`. The plaintext is in a file for you alone, in memory where the machine allows, and is
    overwritten when you leave. A new file, or one that is not encrypted yet, is encrypted by the rule that .sops.yaml
    has for it.

    Examples:
      opsctl secret edit parameters/prod/db.sops.yaml
      EDITOR='code --wait' opsctl secret edit parameters/prod/db.sops.yaml
    """
    from reconciler.wiring.secrets import edit as run

    changed = run(file, _again)
    say(f"{file}: {'encrypted' if changed else 'unchanged'}")
    return 0


def _again(problem: str) -> bool:
    if not sys.stdin.isatty():
        return False
    for text in problem.split("\n"):
        say((text, "red"), error=True)
    return typer.confirm("Edit again?", default=True, err=True)


@app.command(cls=Command, short_help="Encrypt files under new data keys.")
def rotate(
    files: FilesArgument = None, directory: DirectoryOption = Path(), format_: FormatOption = Format.text
) -> int:
    """Encrypt files anew, every value under a new data key, to the recipients that they have.

    It is what to do when a data key may be known to somebody. Values themselves stay: what somebody has read has to be
    replaced where it is used, and edited here.

    Examples:
      opsctl secret rotate
      opsctl secret rotate parameters/prod/db.sops.yaml
    """
    from reconciler.wiring.secrets import encrypted_files
    from reconciler.wiring.secrets import rotate as run

    return _show(run(files or encrypted_files(directory)), format_)


@app.command(cls=Command, short_help="Make the recipients of files those of .sops.yaml.")
def updatekeys(
    files: FilesArgument = None, directory: DirectoryOption = Path(), format_: FormatOption = Format.text
) -> int:
    """Make the recipients of files those that .sops.yaml has for them.

    Where one is only added, values keep their ciphertext. Where one is taken away the data key is new as well, and
    every value is encrypted anew.

    Examples:
      opsctl secret updatekeys
    """
    from reconciler.wiring.secrets import encrypted_files, update_keys

    return _show(update_keys(files or encrypted_files(directory)), format_)


@app.command("add-recipient", cls=Command, short_help="Let a key open the files.")
def add_recipient(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="age1..., ssh-ed25519 ..., ssh-rsa ... or a PGP fingerprint.")
    ],
    directory: DirectoryOption = Path(),
    group: Annotated[
        int | None, typer.Option(min=1, help="The key group, where rules have several.", metavar="N")
    ] = None,
    format_: FormatOption = Format.text,
) -> int:
    """Let a key open the files of a repository: it is added to the rules of .sops.yaml, then to the files.

    Examples:
      opsctl secret add-recipient age1...
      opsctl secret add-recipient "$(cat ~/.ssh/id_ed25519.pub)"
    """
    from reconciler.wiring.secrets import add_recipient as run

    return _show(run(key, directory, group), format_)


@app.command("rm-recipient", cls=Command, short_help="Let a key no longer open the files.")
def remove_recipient(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As .sops.yaml has it.")],
    directory: DirectoryOption = Path(),
    format_: FormatOption = Format.text,
) -> int:
    """Let a key no longer open the files of a repository: it is taken out of the rules of .sops.yaml, and the files are
    encrypted anew under new data keys.

    Earlier commits keep what they have: whoever held the key can read every value that was there until now. Replace
    those values too.

    Examples:
      opsctl secret rm-recipient age1...
    """
    from reconciler.wiring.secrets import remove_recipient as run

    code = _show(run(key, directory), format_)
    say(("what that key could open it can still open in earlier commits: replace those values", "yellow"), error=True)
    return code


@app.command(cls=Command, short_help="Check every secret of a working tree.")
def verify(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The repository's working tree.", show_default="here")
    ] = Path(),
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Open nothing: recipients and readable secrets alone.")
    ] = False,
    format_: FormatOption = Format.text,
) -> int:
    """Check every secret of a working tree: each encrypted file opens and is as it was written (its MAC), its
    recipients are those of .sops.yaml, and nothing lies readable that should be encrypted.

    Examples:
      opsctl secret verify
      opsctl secret verify --without-keys --format json

    Exit status:
      0  all is well
      1  a file could not be opened
      2  something is wrong
    """
    from reconciler.wiring.secrets import verify as check

    found = check(directory, opened=not without_keys)
    failed = sum(each.verdict == "failed" for each in found)
    unopened = sum(each.verdict == "unopened" and bool(each.findings) for each in found)
    code = 2 if failed else 1 if unopened else 0
    if format_ is Format.json:
        rows: list[dict[str, Any]] = [
            {
                "path": each.path,
                "verdict": each.verdict,
                "recipients": list(each.recipients),
                "findings": [view(finding) for finding in each.findings],
            }
            for each in found
        ]
        print_json({"format": "opsctl.secret-verify/v1", "valid": code == 0, "files": rows})
        return code
    styles = {"verified": "green", "unopened": "yellow", "failed": "red"}
    if found:
        rows_shown = [(each.path, (each.verdict, styles[each.verdict]), str(len(each.recipients))) for each in found]
        print_table(("FILE", "VERDICT", "RECIPIENTS"), rows_shown, numbers=frozenset({"RECIPIENTS"}))
    for each in found:
        for finding in each.findings:
            say((str(finding), "red" if each.verdict == "failed" else "yellow"))
    say(
        (f"{counted(len(found), 'file')}, {failed} failed, {unopened} not opened", "bold red" if code else "bold green")
    )
    return code


@app.command("merge-driver", cls=Command, short_help="Merge three versions of a file, as Git asks.")
def merge_driver(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="%O")],
    ours: Annotated[Path, typer.Argument(metavar="OURS", help="%A; becomes the merged file.")],
    theirs: Annotated[Path, typer.Argument(metavar="THEIRS", help="%B")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="%P; its name says the format.")],
) -> int:
    """Merge three versions of an encrypted file: values that one side changed are taken from it, and the MAC is made
    anew. Where both sides changed one value, nothing is written and Git reports the conflict.

    `opsctl secret init` sets it up; in another clone of the repository, set it up with the commands below.

    Examples:
      git config merge.opsctl-sops.driver 'opsctl secret merge-driver %O %A %B %P'
      git config merge.opsctl-sops.name 'values of SOPS files'
    """
    from reconciler.wiring.secrets import merge

    merge(base, ours, theirs, path)
    return 0


def _show(changes: Iterator[Changed], format_: Format) -> int:
    done = list(changes)
    code = 1 if any(each.problem for each in done) else 0
    if format_ is Format.json:
        rows = [
            {
                "path": str(each.path),
                "changed": each.changed,
                "recipients": list(each.recipients),
                "problem": each.problem,
            }
            for each in done
        ]
        print_json({"format": "opsctl.secret-files/v1", "files": rows})
        return code
    for each in done:
        if each.problem:
            for text in each.problem.split("\n"):
                say((f"{each.path}: {text.removeprefix(f'{each.path}:')}", "red"), error=True)
        else:
            state = "encrypted" if each.changed else "unchanged"
            say(f"{each.path}: {state}, {counted(len(each.recipients), 'recipient')}")
    if not done:
        say("no encrypted files")
    return code
