"""Facts: read from files, bounded, and the same at every look."""

from __future__ import annotations

from agent.contract.canonical import canonical
from agent.host import LocalHost, facts, replace
from agent.host.memory import MemoryHost, Node

FIB = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 10.77.0.11
        /32 host LOCAL
     |-- 10.77.0.255
        /32 link BROADCAST
Local:
     |-- 10.77.0.11
        /32 host LOCAL
     |-- 10.9.0.1
        /32 host LOCAL
"""
INET6 = """00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000020d3afffe000001 02 40 20 80     eth0
fd000000000000000000000000000002 02 40 00 80     eth0
"""


def machine(files: dict[str, str]) -> MemoryHost:
    host = MemoryHost()
    for path, text in files.items():
        parts = path.split("/")
        for depth in range(2, len(parts)):
            host.nodes.setdefault("/".join(parts[:depth]), Node("directory", 0o755))
        replace(host, path, text.encode(), 0o644)
    return host


def test_what_files_say() -> None:
    host = machine(
        {
            "/usr/lib/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nBAD\n',
            "/proc/meminfo": "MemTotal:        2048 kB\nMemFree: 1 kB\n",
            "/proc/net/fib_trie": FIB,
            "/proc/net/if_inet6": INET6,
            "/proc/1/comm": "init\n",
            "/proc/sys/kernel/random/boot_id": "abc\n",
        }
    )
    seen = facts.collect(host)
    assert seen["addresses"] == ["10.77.0.11", "10.9.0.1", "fd00::2"]
    assert (seen["osId"], seen["osVersion"], seen["osName"]) == ("debian", "12", "Debian GNU/Linux 12 (bookworm)")
    assert (seen["memoryBytes"], seen["init"], seen["platformType"]) == (2048 * 1024, "init", "Linux")
    assert facts.boot_id(host) == "abc"
    host.nodes["/run"] = host.nodes["/run/systemd"] = host.nodes["/run/systemd/system"] = Node("directory")
    assert facts.collect(host)["init"] == "systemd"


def test_a_node_that_says_nothing_has_few_facts() -> None:
    seen = facts.collect(MemoryHost())
    assert {"osId", "memoryBytes", "init"}.isdisjoint(seen)
    assert seen["addresses"] == []


def test_facts_are_bounded() -> None:
    many = "Local:\n" + "".join(f"  |-- 10.{a}.{b}.1\n      /32 host LOCAL\n" for a in range(9) for b in range(99))
    seen = facts.collect(machine({"/proc/net/fib_trie": many, "/usr/lib/os-release": "ID=" + "x" * 9000}))
    assert len(seen["addresses"]) == 64
    assert len(seen["osId"]) == 256


def test_this_machine_says_the_same_twice() -> None:
    seen = facts.collect(LocalHost())
    assert canonical(seen) == canonical(facts.collect(LocalHost()))
    assert {"hostname", "kernel", "architecture", "python", "platformType"} <= set(seen)
