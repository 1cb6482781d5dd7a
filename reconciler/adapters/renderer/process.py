"""The renderer's far side: reads a request a line, answers a line, within bounds that it sets on itself first."""

from __future__ import annotations

import json
import resource
import sys

from agent.contract.template import TemplateError, render

MEMORY = 512 * 1024 * 1024
LONGEST = 4 * 1024 * 1024
"""Characters of a result; a managed file past this is shown by its template's source."""


def main() -> None:
    """Serve standard input until it ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    render("{{ 1 }}", {})  # everything that rendering loads is loaded before the first request
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(line)) + "\n")
        sys.stdout.flush()


def _answer(line: str) -> dict[str, object]:
    request = json.loads(line)
    try:
        text = render(request["source"], request["context"])
    except TemplateError as error:
        return {"error": str(error), "line": error.line}
    except (MemoryError, OverflowError):
        return {"error": "it needs more memory than rendering is given"}
    if len(text) > LONGEST:
        return {"error": f"it renders to {len(text)} characters, more than {LONGEST}"}
    return {"text": text}


if __name__ == "__main__":
    main()
