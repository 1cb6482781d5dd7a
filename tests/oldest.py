"""`python -m tests.oldest`: the agent's unit tests under the oldest Python that it promises and this machine has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.agent import oldest

TOP = Path(__file__).resolve().parents[1]
TESTS = TOP / "tests" / "agent"
OPTIONS = ("-c", str(TESTS / "pytest.ini"), "--rootdir", str(TOP))
"""How pytest is called under another Python than the project's."""


def prepared(version: str) -> Path:
    """A Python of this version with what the agent's tests need; CalledProcessError where it cannot be had."""
    home = TOP / "build" / f"python{version}"
    python, ready = home / "bin" / "python", home / "ready"
    wanted = TESTS / "oldest.txt"
    if not ready.exists() or ready.read_text() != wanted.read_text():
        subprocess.run([str(oldest.python(version)), "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(wanted)], check=True)
        ready.write_text(wanted.read_text())
    return python


def main(arguments: list[str]) -> int:
    """0 where they pass, or where there is no older Python than the one that runs all tests."""
    version = next(version for version in oldest.VERSIONS if oldest.python(version))
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        sys.stdout.write(f"no Python older than {version} is here; the agent's tests have run under it\n")
        return 0
    python = prepared(version)
    sys.stdout.write(f"the agent's tests under Python {version}\n")
    sys.stdout.flush()
    command = [str(python), "-B", "-m", "pytest", *OPTIONS, *arguments, str(TESTS)]
    return subprocess.run(command, cwd=TOP, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
