"""`make docs`: bring every generated part, and the tour's output, up to date."""

from __future__ import annotations

import sys

from tests.docs import tour
from tests.docs.pages import PAGES, README, completed, generated


def main() -> int:
    """Write what differs, and name it."""
    for page in PAGES:
        before = page.read_text()
        after = generated(completed(before))
        if page == README:
            told = tour.retold(after)
            after = after if tour.masked(told) == tour.masked(after) else told
        if after != before:
            page.write_text(after)
            sys.stdout.write(f"{page}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
