# ruff: noqa: PTH115, PTH123, UP031 -- as the agent does it, under its oldest Python too
"""The bare loop: the same reads, hashing and looking up as a pass of the agent, and nothing else. Stdlib only.

Run as a program with a file that holds the wanted values; `--resident N` prints seconds and CPU seconds per pass.
"""

import hashlib
import marshal
import os
import sys
import time


def differing(wanted: "dict[str, dict[str, object]]") -> int:
    """How many of the wanted things are otherwise."""
    count = 0
    for path in wanted["directories"]:
        found = os.lstat(path)
        count += (found.st_mode & 0o170000) != 0o040000 or (found.st_mode & 0o7777) != 0o755
    for path, digest in wanted["files"].items():
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        found = os.fstat(file)
        count += (found.st_mode & 0o7777) != 0o644
        count += "sha256:" + hashlib.sha256(os.read(file, 1 << 20)).hexdigest() != digest
        os.close(file)
    for path, target in wanted["links"].items():
        count += os.readlink(path) != target
    for path, line in wanted["lines"].items():
        with open(path, encoding="utf-8") as text:
            count += line not in text.read().split("\n")
    if wanted["packages"]:
        with open("/var/lib/dpkg/status", "rb") as status:
            stanzas = status.read()
        for name in wanted["packages"]:
            at = stanzas.find(b"\nPackage: %s\n" % name.encode())
            count += b"\nStatus: install ok installed\n" not in stanzas[at : stanzas.find(b"\n\n", at + 1)]
    return count


def main() -> int:
    """0 where nothing differs."""
    with open(sys.argv[1], "rb") as file:
        wanted = marshal.load(file)
    if len(sys.argv) > 2:
        passes = int(sys.argv[3])
        differing(wanted)
        started, burnt = time.perf_counter(), time.process_time()
        for _ in range(passes):
            differing(wanted)
        sys.stdout.write(
            "%.9f %.9f\n" % ((time.perf_counter() - started) / passes, (time.process_time() - burnt) / passes)
        )
        return 0
    return 1 if differing(wanted) else 0


if __name__ == "__main__":
    sys.exit(main())
