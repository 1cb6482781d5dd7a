"""Where the program begins."""

from __future__ import annotations

import sys
from typing import List, Optional


def main(arguments: Optional[List[str]] = None) -> int:
    """Run one command; the exit status. What takes time to import is imported when it is needed."""
    from agent import shortcut

    given = sys.argv[1:] if arguments is None else arguments
    done = shortcut.run(given)
    if done is not None:
        return done
    from agent import commands

    return commands.run(given)


if __name__ == "__main__":
    sys.exit(main())
