"""The floors hold: who imports whom, what is in the tree, what files look like."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

TOP = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(TOP / "reconciler").rglob("*.py"), *(TOP / "agent").rglob("*.py")])
VAGUE = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}
PURE = ("agent/contract", "reconciler/core", "reconciler/documents", "reconciler/capabilities", "reconciler/engine")
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}


def _name(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def test_import_contracts() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_reconciler_knows_only_the_agents_contract() -> None:
    found = [
        f"{_name(path)} imports {module}"
        for path in SOURCES
        if _name(path).startswith("reconciler/")
        for module in _imported(path)
        if module.split(".")[0] == "agent" and not module.startswith("agent.contract")
    ]
    assert found == []


def test_the_agent_is_standard_library_only() -> None:
    allowed = sys.stdlib_module_names | {"agent", "jinja2", "msvcrt"}
    found = [
        f"{_name(path)} imports {module}"
        for path in SOURCES
        if _name(path).startswith("agent/")
        for module in _imported(path)
        if module.partition(".")[0] not in allowed
    ]
    assert found == []


def test_decisions_read_no_clock_and_open_no_file() -> None:
    found = []
    for path in SOURCES:
        if not _name(path).startswith(PURE):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            if isinstance(function, ast.Name) and function.id in ("open", "print", "input"):
                found.append(f"{_name(path)}:{node.lineno} calls {function.id}")
            if isinstance(function, ast.Attribute) and function.attr in CLOCKS:
                owner = function.value
                if isinstance(owner, ast.Name) and owner.id in ("time", "datetime", "date"):
                    found.append(f"{_name(path)}:{node.lineno} reads the clock")
    assert found == []


def test_every_package_says_what_belongs_there() -> None:
    missing = []
    for path in SOURCES:
        if path.name == "__init__.py":
            text = ast.get_docstring(ast.parse(path.read_text())) or ""
            if len(text) < 40:
                missing.append(_name(path))
    assert missing == []


def test_every_module_has_a_docstring() -> None:
    assert [_name(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_no_vague_names() -> None:
    assert [_name(path) for path in SOURCES if path.stem in VAGUE or path.parent.name in VAGUE] == []


def test_files_are_small() -> None:
    sizes = sorted(len(path.read_text().splitlines()) for path in SOURCES if path.name != "__init__.py")
    assert sizes[len(sizes) // 2] <= 150
    assert [_name(path) for path in SOURCES if len(path.read_text().splitlines()) > 400] == []


def test_the_project_speaks_of_itself_alone() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, check=True).stdout
    words = re.compile("|".join(map(re.escape, ["TODO", "FIXME", f"{TOP}/", *_package_indexes()])))
    found = []
    for name in filter(None, listed.decode().split("\0")):
        path = TOP / name
        if path == Path(__file__) or path.suffix in (".png", ".svg") or not path.is_file():
            continue
        found += [f"{name}: {word}" for word in words.findall(path.read_text(errors="replace"))]
    assert found == []


def _package_indexes() -> list[str]:
    """Where this machine gets packages: host names that are somebody's, else whole addresses."""
    pip = [sys.executable, "-m", "pip", "config", "list"]
    settings = subprocess.run(pip, capture_output=True, text=True, check=True).stdout
    urls = [urlsplit(url) for url in re.findall(r"\w+://[^\s']+", settings)]
    return [
        url.hostname if re.search(r"[a-z]\.[a-z]", url.hostname or "") else f"{url.netloc}{url.path}" for url in urls
    ]


def _imported(path: Path) -> list[str]:
    """Absolute names of the modules that a file imports, those for type checking included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found
