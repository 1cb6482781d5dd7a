"""What people run today, on the same wanted server: installed where this machine can have it, skipped with its reason.

Each peer writes its own description of a `Wanted` and says by which command it applies that, and only looks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.bench.wanted import Wanted

_INSTALL_SECONDS = 900
_ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


class NotHere(Exception):
    """This machine cannot have the peer; the text says why."""


@dataclass(frozen=True, slots=True)
class Commands:
    """Argument vectors."""

    apply: list[str]
    look: list[str]


class Peer(Protocol):
    """One tool. `runs` is how often it is measured, for some take minutes."""

    name: str
    runs: int

    def install(self, build: Path) -> None:
        """Raises NotHere."""

    def describe(self, want: Wanted, directory: Path) -> Commands:
        """Writes what the tool needs into the directory."""


class CFEngine:
    """cf-agent, with those files of its standard library that the policy uses, and its own package module."""

    name, runs = "cfengine", 7
    _modules = Path("/var/lib/cfengine3/modules/packages")
    _masterfiles = Path("/usr/share/cfengine3/masterfiles")
    _library = ("paths", "common", "files", "packages")
    _python = Path("/usr/bin/cfengine-selected-python")
    """What its package modules are run by; its own update policy would make this link."""

    def install(self, build: Path) -> None:
        del build
        _apt("cfengine3", "cf-agent")
        self._modules.mkdir(mode=0o700, parents=True, exist_ok=True)
        vendored = self._masterfiles / "modules/packages/vendored/apt_get.mustache"
        if not vendored.exists():
            raise NotHere("this cfengine3 has no package module for apt")
        (self._modules / "apt_get").write_bytes(vendored.read_bytes())
        (self._modules / "apt_get").chmod(0o755)
        if not self._python.exists():
            self._python.symlink_to("/usr/bin/python3")

    def describe(self, want: Wanted, directory: Path) -> Commands:
        source = directory / "source"
        source.mkdir(parents=True)
        rows = ["files:"]
        rows += [f'"{path}/." create => "true", perms => m("0755");' for path in want.directories]
        for at, (path, text) in enumerate(want.files.items()):
            (source / f"{at}").write_text(text)
            rows.append(f'"{path}" copy_from => local_dcp("{source}/{at}"), perms => m("0644");')
        rows += [f'"{path}" link_from => ln_s("{target}");' for path, target in want.links.items()]
        rows += [f'"{path}" edit_line => insert_lines("{line}");' for path, line in want.lines.items()]
        rows += ["packages:"] if want.packages else []
        rows += [f'"{name}" policy => "present", package_module => apt_get;' for name in want.packages]
        included = ", ".join(f'"{self._masterfiles}/lib/{name}.cf"' for name in self._library)
        policy = directory / "policy.cf"
        policy.write_text(
            f"body file control {{ inputs => {{ {included} }}; }}\n"
            'body common control { bundlesequence => { "main" }; }\n'
            "bundle agent main {\n" + "\n".join(rows) + "\n}\n"
        )
        policy.chmod(0o600)
        command = ["cf-agent", "--no-lock", "--file", str(policy)]
        return Commands(command, [*command, "--dry-run"])


class Puppet:
    """puppet apply."""

    name, runs = "puppet", 3

    def install(self, build: Path) -> None:
        del build
        _apt("puppet-agent", "puppet")

    def describe(self, want: Wanted, directory: Path) -> Commands:
        rows = [f"file {{ '{path}': ensure => directory, mode => '0755' }}" for path in want.directories]
        rows += [
            f"file {{ '{path}': ensure => file, mode => '0644', content => '{text}' }}"
            for path, text in want.files.items()
        ]
        rows += [f"file {{ '{path}': ensure => link, target => '{target}' }}" for path, target in want.links.items()]
        rows += [
            f"exec {{ '{path}': command => '/bin/sh -c \"echo {line} >> {path}\"',"
            f" unless => '/bin/grep -qxF \"{line}\" {path}' }}"
            for path, line in want.lines.items()
        ]
        rows += [f"package {{ '{name}': ensure => installed }}" for name in want.packages]
        manifest = directory / "site.pp"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text("\n".join(rows) + "\n")
        command = ["puppet", "apply", str(manifest)]
        return Commands(command, [*command, "--noop"])


class Salt:
    """salt-call --local, masterless."""

    name, runs = "salt", 5

    def install(self, build: Path) -> None:
        self._program = _pip(build, "salt", "salt-call", "salt", "distro", "looseversion", "packaging")

    def describe(self, want: Wanted, directory: Path) -> Commands:
        roots = directory / "states"
        roots.mkdir(parents=True)
        states: dict[str, dict[str, list[dict[str, object]]]] = {}
        for path in want.directories:
            states[str(path)] = {"file.directory": [{"mode": "0755"}]}
        for at, (path, text) in enumerate(want.files.items()):
            (roots / f"file-{at}").write_text(text)
            states[str(path)] = {"file.managed": [{"source": f"salt://file-{at}"}, {"mode": "0644"}]}
        for path, target in want.links.items():
            states[str(path)] = {"file.symlink": [{"target": target}]}
        for path, line in want.lines.items():
            states[str(path)] = {"file.append": [{"text": line}]}
        if want.packages:
            states["packages"] = {"pkg.installed": [{"pkgs": list(want.packages)}]}
        (roots / "main.sls").write_text("#!json\n" + json.dumps(states))
        own = [f"--{kind}={directory}/{kind}" for kind in ("config-dir", "log-file")]
        (directory / "config-dir").mkdir()
        (directory / "config-dir" / "minion").write_text(f"root_dir: {directory}/salt\n")
        command = [self._program, "--local", *own, f"--file-root={roots}", "--out=quiet", "state.apply", "main"]
        return Commands(command, [*command, "test=True"])


class Ansible:
    """ansible-playbook over the local connection."""

    name, runs = "ansible", 1

    def install(self, build: Path) -> None:
        self._program = _pip(build, "ansible", "ansible-playbook", "ansible-core")

    def describe(self, want: Wanted, directory: Path) -> Commands:
        def task(module: str, items: list[dict[str, str]], **arguments: str) -> dict[str, object]:
            return {f"ansible.builtin.{module}": arguments, "loop": items, "loop_control": {"label": "-"}}

        tasks = [
            task("file", [{"p": str(path)} for path in want.directories], path="{{ item.p }}", state="directory"),
            task(
                "copy",
                [{"p": str(path), "c": text} for path, text in want.files.items()],
                dest="{{ item.p }}",
                content="{{ item.c }}",
                mode="0644",
            ),
            task(
                "file",
                [{"p": str(path), "t": target} for path, target in want.links.items()],
                path="{{ item.p }}",
                src="{{ item.t }}",
                state="link",
                force="true",
            ),
            task(
                "lineinfile",
                [{"p": str(path), "l": line} for path, line in want.lines.items()],
                path="{{ item.p }}",
                line="{{ item.l }}",
            ),
            {"ansible.builtin.apt": {"name": list(want.packages), "state": "present"}},
        ]
        play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "play.json").write_text(json.dumps(play))
        command = [self._program, "-i", "localhost,", str(directory / "play.json")]
        command += ["-e", "ansible_python_interpreter=/usr/bin/python3"]
        return Commands(command, [*command, "--check"])


PEERS: tuple[Peer, ...] = (CFEngine(), Puppet(), Salt(), Ansible())


def _apt(package: str, program: str) -> None:
    if shutil.which(program):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NotHere(f"{program} is not installed, and only root on Debian could install it")
    _must(["apt-get", "install", "-y", "-q", "--no-install-recommends", package])


def _pip(build: Path, name: str, program: str, *packages: str) -> str:
    home = build / name
    if not (home / "bin" / program).exists():
        venv.create(home, with_pip=True, clear=True)
        _must([str(home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *packages])
    return str(home / "bin" / program)


def _must(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotHere(f"{command[0]}: {error}") from error
    if done.returncode:
        raise NotHere(f"`{' '.join(command[:4])}` failed: {(done.stderr or done.stdout).strip()[-300:]}")


def complain(peer: Peer, error: Exception) -> None:
    sys.stderr.write(f"{peer.name} is not measured: {error}\n")
