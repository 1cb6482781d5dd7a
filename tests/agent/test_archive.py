"""The archive: what is in it, that it is the same every time, and that it renders with what it carries."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.agent import program
from tests.agent.oldest import oldest_python

RENDER = """
import sys
sys.path[0:0] = [{archive!r}, {archive!r} + "/_vendor"]
from agent.contract.template import TemplateError, render
assert "jinja2" not in sys.modules
template = "{{{{ name | upper }}}} {{% for k in vars.list %}}{{{{ k }}}};{{% endfor %}}"
print(render(template, {{"name": "a<b", "vars": {{"list": [1, 2]}}}}))
import jinja2, markupsafe
assert jinja2.__file__.startswith({archive!r}), jinja2.__file__
assert markupsafe.__file__.startswith({archive!r}), markupsafe.__file__
try:
    render("x\\n{{{{ nobody }}}}", {{}})
except TemplateError as error:
    print(error.line, error)
"""


def test_the_same_sources_make_the_same_bytes(tmp_path: Path) -> None:
    first = program.archive().read_bytes()
    os.utime(program.ROOT / "agent" / "__main__.py")
    program.builder().build_agent(tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == first
    assert (tmp_path / "again.pyz").stat().st_mode & 0o777 == 0o755


def test_it_is_small_and_holds_sources_and_licenses_only() -> None:
    assert program.archive().stat().st_size <= 600 * 1024
    with zipfile.ZipFile(program.archive()) as archive:
        names = archive.namelist()
    assert names == sorted(names)
    others = [name for name in names if not name.endswith(".py")]
    assert others == ["LICENSE", "_vendor/jinja2/LICENSE.txt", "_vendor/markupsafe/LICENSE.txt"]
    assert {name.split("/")[0] for name in names} == {"LICENSE", "__main__.py", "_vendor", "agent"}
    assert "_vendor/markupsafe/_native.py" in names


@pytest.mark.parametrize("which", ["this", "oldest"])
def test_it_renders_with_the_jinja_that_it_carries(which: str) -> None:
    python = program.THIS if which == "this" else oldest_python()
    code = RENDER.format(archive=str(program.archive()))
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "A<B 1;2;\n2 'nobody' is undefined\n"


@pytest.mark.parametrize("which", ["this", "oldest"])
def test_serving_imports_nothing_heavy(which: str) -> None:
    python = program.THIS if which == "this" else oldest_python()
    code = (
        f"import sys; sys.path.insert(0, {str(program.archive())!r}); import agent.__main__, agent.serve; "
        "print([name for name in ('asyncio', 'jinja2', 'http.client', 'email', 'logging', 'unittest', 'xml') "
        "if name in sys.modules])"
    )
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_an_old_python_is_told_what_is_needed() -> None:
    for version in ("3.6", "3.7"):
        found = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}*/bin/python3"))
        if not found:
            pytest.skip(f"there is no Python {version} on this machine")
        done = subprocess.run(
            [found[0], str(program.archive())], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 1
        assert done.stderr.startswith("the opsctl agent needs Python 3.8 or newer; this is " + version)
