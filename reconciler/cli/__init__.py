"""The command line: turns a person's words into calls, and answers into text, JSON or Markdown.

Belongs here: arguments, rendering, progress, exit codes. Does not belong here: decisions; anything another face would
have to repeat.
"""


def main() -> None:
    """The `opsctl` program."""
    from reconciler.cli.app import run

    run()
