"""Whatever stands in the files, validation ends with findings and never with an exception."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.engine.validate import validate

EXAMPLE = Path(__file__).parents[2] / "example-config-repo"
FILES = {
    path.relative_to(EXAMPLE).as_posix(): path.read_bytes()
    for path in sorted(EXAMPLE.rglob("*"))
    if path.is_file() and ".git/" not in path.as_posix()
}
EXECUTABLE = {name for name in FILES if EXAMPLE.joinpath(name).stat().st_mode & 0o100}
WORDS = sorted({word for data in FILES.values() for word in re.findall(rb"[^\s]+|\s+", data)})
STRANGE = [
    b"",
    b"{",
    b"]",
    b"---\n",
    b"- ",
    b": ",
    b"&a ",
    b"*a",
    b"<<: ",
    b"{{ x }}",
    b"{% if",
    b"\x00",
    b"\xff",
    b"\t",
]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(sorted(FILES)),
        st.integers(0, 10_000),
        st.integers(0, 40),
        st.one_of(st.sampled_from(WORDS), st.sampled_from(STRANGE)),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EDITS)
def test_edits_at_random(edits: list[tuple[str, int, int, bytes]]) -> None:
    files = dict(FILES)
    for path, at, length, text in edits:
        data = files[path]
        at %= len(data) + 1
        files[path] = data[:at] + text + data[at + length :]
    for finding in validate(files, executable=EXECUTABLE):
        assert finding.place.path in files or finding.place.path == "fleet.yaml"
        assert finding.severity in ("error", "warning")
        assert finding.message


def test_the_example_is_without_fault() -> None:
    assert [str(finding) for finding in validate(FILES, executable=EXECUTABLE)] == []
