"""Accounts, keys, units and the rest of a system where they are real: a Debian node with systemd."""

from __future__ import annotations

import pytest

from agent.contract.wire import BodyStep
from tests.agent.converging import step
from tests.agent.steps.real import converge, furnish, twice
from tests.fleet.fixtures import NodeFactory
from tests.fleet.node import Node

pytestmark = pytest.mark.realnode

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqo9F7DnDyCaSL83dMXr9TTrxNIZekVgwZsX+YFD0Wp alice@laptop"
CLAIM = "authorizedKeys:alice#SHA256:3v2uSsWR+noy6F+Gu4FxSmQrGO6hQV6uYqfp3dtQelk"


@pytest.fixture(scope="module")
def node(module_node_factory: NodeFactory) -> Node:
    (made,) = module_node_factory("system", packages=["sudo", "locales"])
    return furnish(made)


def test_a_group_a_user_in_it_and_a_key_from_nothing_and_back(node: Node) -> None:
    uid = "Association/people"
    steps = [
        step("ops:group", {"name": "deploy", "gid": 2500}, name="group"),
        step("ops:user", {"name": "alice", "groups": ["deploy"], "home": "/home/alice"}, name="user"),
        step("ops:authorizedKey", {"user": "alice", "key": KEY, "options": "restrict,pty"}, name="key"),
    ]
    assert set(twice(node, *steps, uid=uid).values()) == {"Changed"}
    assert node.run(["id", "-nG", "alice"]).stdout == "alice deploy\n"
    assert node.read("/home/alice/.ssh/authorized_keys").decode() == f"restrict,pty {KEY}\n"
    seen = node.run(["stat", "-c", "%U %G %a", "/home/alice/.ssh", "/home/alice/.ssh/authorized_keys"]).stdout
    assert seen == "alice alice 700\nalice alice 600\n"

    node.write("/home/alice/.ssh/authorized_keys", KEY + "\n")
    assert converge(node, *steps, uid=uid, cause="Interval").outcomes[CLAIM] == "Changed"
    assert node.read("/home/alice/.ssh/authorized_keys").decode() == f"restrict,pty {KEY}\n"

    gone = converge(node, uid=uid, prune=True, generation=2)
    assert set(gone.outcomes.values()) == {"Changed"}, gone.reasons
    assert node.run(["getent", "group", "deploy"], check=False).returncode != 0
    assert node.run(["test", "-e", "/home/alice/.ssh/authorized_keys"], check=False).returncode != 0


def says(content: str, limit: int, **service: object) -> list[BodyStep]:
    unit = f"[Service]\nExecStart=/bin/sh -c 'echo {content} >> /run/said; exec sleep infinity'\n"
    return [
        step("ops:unit", {"name": "says", "content": unit}, name="unit"),
        step(
            "ops:unit",
            {"name": "says", "dropIn": "limit", "content": f"[Service]\nLimitNOFILE={limit}\n"},
            name="limit",
        ),
        step("ops:service", {"name": "says", "state": "started", "restartOn": ["unit", "limit"]}, name="service"),
    ]


def test_a_unit_its_drop_in_and_a_restart_for_either(node: Node) -> None:
    uid = "Association/unit"
    limit = ["systemctl", "show", "--value", "--property=LimitNOFILE", "says"]
    twice(node, *says("one", 100), uid=uid)
    node.run(["sh", "-c", "until grep -q one /run/said; do sleep 0.05; done"])
    assert node.run(limit).stdout == "100\n"

    changed = converge(node, *says("one", 200), uid=uid, generation=2)
    assert changed.changes["unit:says.service"] == ("started", "restarted, for limit changed")
    assert node.run(limit).stdout == "200\n"
    node.run(["sh", "-c", "until [ $(grep -c one /run/said) = 2 ]; do sleep 0.05; done"])

    node.run(["sh", "-c", "echo '# edited' >> /etc/systemd/system/says.service && systemctl daemon-reload"])
    converge(node, *says("one", 200), uid=uid, generation=2, cause="Interval")
    node.run(["sh", "-c", "until [ $(grep -c one /run/said) = 3 ]; do sleep 0.05; done"])

    gone = converge(node, uid=uid, prune=True, generation=3)
    assert set(gone.outcomes.values()) == {"Changed"}, gone.reasons
    assert node.run(["test", "-e", "/etc/systemd/system/says.service.d"], check=False).returncode != 0
    assert node.run(["systemctl", "is-active", "says"], check=False).stdout != "active\n"


def test_a_unit_file_that_systemd_has_not_read(node: Node) -> None:
    steps = says("late", 100)[:1]
    converge(node, *says("late", 100), uid="Association/late")
    node.run(["touch", "-d", "@2000000000", "/etc/systemd/system/says.service"])
    told = converge(node, *steps, uid="Association/late", generation=2, cause="Interval")
    assert told.changes["path:/etc/systemd/system/says.service"] == ("not read by systemd", "read by systemd")


def test_sudo_rules_are_judged_by_visudo(node: Node) -> None:
    uid, path = "Association/sudo", "path:/etc/sudoers.d/deploy"
    package = step("ops:package", {"name": ["sudo"]}, name="sudo")
    good = step("ops:sudoers", {"name": "deploy", "rules": ["daemon ALL=(root) NOPASSWD: /usr/bin/id"]}, name="rules")
    assert converge(node, package, good, uid=uid).outcomes[path] == "Changed"
    assert "uid=0(root)" in node.run(["runuser", "-u", "daemon", "--", "sudo", "-n", "id"]).stdout
    bad = step("ops:sudoers", {"name": "deploy", "rules": ["daemon ALL=(root NOPASSWD"]}, name="rules")
    refused = converge(node, package, bad, uid=uid, generation=2)
    assert refused.reasons[path].startswith("visudo does not accept the new content: exit 1, line 1;")
    assert "uid=0(root)" in node.run(["runuser", "-u", "daemon", "--", "sudo", "-n", "id"]).stdout
    assert node.run(["ls", "-A", "/etc/sudoers.d"]).stdout.split() == ["README", "deploy"]


def test_a_setting_of_the_kernel_now_and_at_boot(node: Node) -> None:
    uid, name = "Association/kernel", "net.ipv4.conf.lo.log_martians"
    own = "mkdir -p /run/proc && mount -t proc proc /run/proc && mount --bind /run/proc/sys/net /proc/sys/net"
    node.run(["sh", "-c", own])  # a node's /proc/sys is read-only; what is below net is its own
    was = node.read("/proc/sys/net/ipv4/conf/lo/log_martians").decode().strip()
    other = "0" if was == "1" else "1"
    node.run(["mkdir", "-p", "/etc/sysctl.d"])
    setting = step("ops:sysctl", {"name": name, "value": other})
    assert set(twice(node, setting, uid=uid).values()) == {"Changed"}
    assert node.read("/proc/sys/net/ipv4/conf/lo/log_martians").decode() == f"{other}\n"

    bad = converge(node, step("ops:sysctl", {"name": name, "value": "many"}), uid=uid, generation=2)
    assert bad.reasons[f"sysctl:{name}"].startswith(f"the kernel does not take many for {name}: ")
    assert node.read(f"/etc/sysctl.d/99-opsctl-{name}.conf").decode() == f"{name} = {other}\n"

    assert converge(node, setting, uid=uid, generation=3).status == "Success"
    gone = converge(node, uid=uid, prune=True, generation=4)
    assert set(gone.outcomes.values()) == {"Changed"}, gone.reasons
    assert node.read("/proc/sys/net/ipv4/conf/lo/log_martians").decode() == f"{was}\n"


def test_a_timer_that_runs_its_command(node: Node) -> None:
    uid = "Association/timer"
    wanted = {"name": "tick", "onCalendar": ["*-*-* *:*:*"], "command": "/bin/touch /run/ticked"}
    at_once = "/run/systemd/system/tick.timer.d"  # by itself systemd takes its time: up to a minute
    node.run(["sh", "-c", f"mkdir -p {at_once}; printf '[Timer]\\nAccuracySec=100ms\\n' >{at_once}/at-once.conf"])
    assert set(twice(node, step("ops:timer", wanted), uid=uid).values()) == {"Changed"}
    node.run(["sh", "-c", "until test -e /run/ticked; do sleep 0.05; done"])
    node.run(["sh", "-c", f"rm -r {at_once}; systemctl daemon-reload"])
    assert node.run(["systemctl", "is-enabled", "tick.timer"]).stdout == "enabled\n"

    rare = {**wanted, "onCalendar": ["2099-01-01"]}
    assert converge(node, step("ops:timer", rare), uid=uid, generation=2).status == "Success"
    due = node.run(["systemctl", "show", "--value", "--property=NextElapseUSecRealtime", "tick.timer"]).stdout
    assert "2099-01-01" in due

    node.run(["systemctl", "disable", "--now", "tick.timer"])
    healed = converge(node, step("ops:timer", rare), uid=uid, generation=2, cause="Interval")
    assert healed.changes["unit:tick.timer"] == ("disabled, stopped", "enabled, started")

    gone = converge(node, uid=uid, prune=True, generation=3)
    assert set(gone.outcomes.values()) == {"Changed"}, gone.reasons
    assert node.run(["systemctl", "cat", "tick.timer"], check=False).returncode != 0
    made = converge(node, step("ops:timer", rare), uid=uid, generation=4)
    assert made.status == "Success", made.reasons
    absent = converge(node, step("ops:timer", {"name": "tick", "state": "absent"}), uid=uid, generation=5)
    assert set(absent.outcomes.values()) == {"Changed"}, absent.reasons
    assert node.run(["systemctl", "cat", "tick.timer"], check=False).returncode != 0


def test_an_instant_that_systemd_does_not_understand(node: Node) -> None:
    wanted = {"name": "never", "onCalendar": ["on Sundays"], "command": "/bin/true"}
    told = converge(node, step("ops:timer", wanted), uid="Association/never")
    assert told.outcomes["unit:never.timer"] == "Failed"


def test_a_time_zone_and_back(node: Node) -> None:
    uid = "Association/zone"
    node.run(["sh", "-c", "ls /usr/share/zoneinfo/Asia/Tokyo || apt-get -y install tzdata"], timeout=120)
    was = node.run(["date", "+%Z"]).stdout
    assert "Changed" in twice(node, step("ops:timezone", {"name": "Asia/Tokyo"}), uid=uid).values()
    assert node.run(["date", "+%Z"]).stdout == "JST\n"
    converge(node, uid=uid, prune=True, generation=2)
    assert node.run(["date", "+%Z"]).stdout == was


def test_a_locale_and_the_defaults_back(node: Node) -> None:
    uid = "Association/locale"
    package = step("ops:package", {"name": ["locales"]}, name="package")
    converge(node, package, uid=uid)
    wanted = step("ops:locale", {"name": "de_DE.UTF-8", "variables": {"LC_TIME": "C.UTF-8"}}, name="locale")
    changed = twice(node, package, wanted, uid=uid)
    assert changed["locale:de_DE.UTF-8"] == "Changed"
    said = node.run(["sh", "-c", ". /etc/default/locale; export LANG LC_TIME; locale; locale -k LC_MONETARY | head -2"])
    assert said.stderr == ""
    assert 'int_curr_symbol="EUR "' in said.stdout
    gone = converge(node, package, uid=uid, prune=True, generation=2)
    assert gone.outcomes["path:/etc/locale.gen"] == "Changed", gone.reasons
    assert gone.reasons["locale:de_DE.UTF-8"] == "left in place: a locale that was made stays, for others may use it"
