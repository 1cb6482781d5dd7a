"""Where the program begins."""

from __future__ import annotations

import os
import sys
from typing import List, NoReturn, Optional


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one command; the exit status. What takes time to import is imported when it is needed."""
    from agent import shortcut

    given = sys.argv[1:] if arguments is None else arguments
    done = shortcut.run(given)
    if done is None:
        from agent import commands

        return commands.run(given)
    if arguments is None:
        _end(done)
    return done


def _end(code: int) -> NoReturn:
    """At once: a pass leaves nothing open, and to take all of it down in order takes a tenth of its time."""
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None where it was closed before the start
            stream.flush()
    except OSError:
        sys.exit(code)  # what could not be said is for the interpreter to tell, as ever
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
