"""Help, as the command line prints it in 80 columns."""

from __future__ import annotations

import contextlib
import io
import os
from unittest import mock


def help_of(words: str, _page: str) -> str:
    """The page of a command as a block."""
    from reconciler.cli.app import exit_code

    out = io.StringIO()
    with mock.patch.dict(os.environ, {"COLUMNS": "80", "NO_COLOR": "1"}), contextlib.redirect_stdout(out):
        exit_code([*words.split(), "--help"])
    return f"```text\n{out.getvalue().strip()}\n```"
