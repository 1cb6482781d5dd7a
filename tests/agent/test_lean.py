"""What an agent that waits does not carry."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.agent import program

_UNNEEDED = ("ast", "calendar", "difflib", "jinja2", "random", "subprocess", "urllib.parse")
_SERVING = """
import sys
sys.path.insert(0, sys.argv[1])
from agent import lean
lean.spare("inspect")
import agent.__main__, agent.serve
print(*sorted(set(sys.modules) & set(sys.argv[2:])))
import inspect
print(inspect.signature(lean.spare), inspect.isclass(int))
"""


def test_serving_imports_nothing_that_waiting_does_not_take() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _SERVING, str(program.archive()), *_UNNEEDED],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["", "(name: 'str') -> 'None' True"]


def test_memory_is_given_back_and_the_program_goes_on() -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import ssl, json, re
from agent.host.pages import give_back
def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
kept = [bytes(100) for _ in range(10)]
before = resident()
for _ in range(3):
    give_back()
after = resident()
ssl.create_default_context()
assert json.loads(json.dumps({"a": [1, 2, 3]})) == {"a": [1, 2, 3]} and re.match("a+b", "aab") and len(kept) == 10
print(before - after > 1000, before - after)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(program.archive())],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.stdout.startswith("True"), done.stdout
