"""Verbs on machines, for the nodes there are: `aws:changeInstanceState`, and what EC2's API says of the same.

A node is a machine that somebody else owns: it can be told to switch itself off or to boot anew, and be waited for.
Nothing here switches one on. What takes a machine away for good, or away until a person comes by, has to be allowed in
the Fleet. Each call may be made again under the same id: what was ordered is ordered once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.contract.canonical import canonical
from agent.contract.codec import to_wire
from agent.contract.wire import Body, BodyStep
from reconciler.controller.automation.performing import command_of
from reconciler.controller.document_orders import OF_THE_REPOSITORY, require_reach
from reconciler.controller.ssm import given as ask
from reconciler.core import nodeset
from reconciler.core.effect import Cause, Dispatch
from reconciler.core.executions import Answer
from reconciler.core.problem import Finding, Invalid, Place, Refused, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reconciler.controller.automation.work import Work
    from reconciler.controller.ssm.house import House
    from reconciler.core.commands import CommandRow
    from reconciler.core.nodes import NodeEntry

ACTION, CREATE_TAGS = "aws:changeInstanceState", "aws:createTags"
EC2 = "ec2"
POWER_OFF = (
    "if command -v systemd-run >/dev/null",
    "then systemd-run --quiet --on-active=5 systemctl poweroff",
    "else shutdown -h +1",
    "fi",
)
"""Later, so that the node can say that it will."""
REBOOT = (
    "mark=/var/lib/opsctl-reboot-$AWS_SSM_COMMAND_ID boot=$(cat /proc/sys/kernel/random/boot_id)",
    '[ -e "$mark" ] || echo "$boot" > "$mark" || exit 1',
    '[ "$(cat "$mark")" = "$boot" ] && exit 194',
    'rm "$mark"',
)
OFF_SECONDS = 30
"""For which a machine is not here before it counts as off. After a start of the server, none is here at first."""
_CODES = {"running": 16, "stopped": 80}


class Machines:
    """Handlers of the table of work."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._gone: dict[str, float] = {}
        self._ec2: Mapping[str, Callable[[Work, Sequence[NodeEntry]], dict[str, Any]]] = {
            "describeinstances": self._described,
            "describeinstancestatus": self._statuses,
            "rebootinstances": self._rebooted,
            "startinstances": self._started,
            "stopinstances": self._stopped,
        }

    def change_state(self, work: Work) -> Answer:
        """`aws:changeInstanceState`. Raises `Waiting` until all of them are in the state."""
        inputs, names = work.inputs, ask.texts(work.inputs, "InstanceIds")
        wanted, only_look = ask.text(inputs, "DesiredState"), ask.flag(inputs, "CheckStateOnly")
        if wanted not in ("running", "stopped", "terminated"):
            expected = "`running`, `stopped` or `terminated`"
            raise Invalid((Finding(f"`DesiredState` is `{wanted}`", Place("DesiredState"), expected),))
        known = [entry for entry in map(self._find, names) if entry is not None]
        missing = [name for name in names if self._find(name) is None]
        if wanted == "terminated":
            if not only_look:
                self._retire(work, known)
            if only_look and known:
                raise Waiting(f"{_listed(known)} to be retired")
            return Answer(outputs={"InstanceStates": ["terminated"] * len(names)})
        if missing:
            raise Refused(f"Unsupported: {missing[0]:.100} is no node of this fleet: needs aws", "nodes")
        self._require(work, known, "read", "Node")
        if wanted == "stopped" and not only_look:
            self._switch_off(work, known)
        if wanted == "stopped":
            on = [entry for entry in known if not self._is_off(entry)]
            if on:
                raise Waiting(f"{_listed(on)} to be off")
        self._require_online(known if wanted == "running" else ())
        return Answer(outputs={"InstanceStates": [wanted] * len(names)})

    def create_tags(self, work: Work) -> Answer:
        """`aws:createTags`: the labels of nodes are desired state, and that is written in one place."""
        names = ask.texts(work.inputs, "ResourceIds")
        entry = next((found for name in names if (found := self._find(name)) is not None), None)
        if entry is None:
            raise Refused(f"Unsupported: {', '.join(names):.100} is nothing of this fleet: needs aws", "nodes")
        raise Refused("labels come from Git", "labels", f"change metadata.labels in nodes/{entry.name}.yaml")

    def ec2(self, work: Work) -> Answer | None:
        """A call of EC2's API that is about nodes of this fleet alone; None for any other."""
        call = self._ec2.get(str(work.inputs.get("Api", "")).replace("_", "").casefold())
        names = ask.texts(work.inputs, "InstanceIds")
        entries = [self._find(name) for name in names]
        found = [entry for entry in entries if entry is not None]
        if call is None or not names or len(found) < len(names):
            return None
        self._require(work, found, "read", "Node")
        return Answer(outputs=call(work, found))

    # EC2's words

    def _rebooted(self, work: Work, entries: Sequence[NodeEntry]) -> dict[str, Any]:
        self._ordered(work, entries, REBOOT)
        return {}

    def _stopped(self, work: Work, entries: Sequence[NodeEntry]) -> dict[str, Any]:
        self._switch_off(work, entries)
        states = [{"InstanceId": entry.id, "CurrentState": {"Code": 64, "Name": "stopping"}} for entry in entries]
        return {"StoppingInstances": states}

    def _started(self, work: Work, entries: Sequence[NodeEntry]) -> dict[str, Any]:
        del work
        self._require_online(entries)
        return {"StartingInstances": [{"InstanceId": one.id, "CurrentState": self._state(one)} for one in entries]}

    def _statuses(self, work: Work, entries: Sequence[NodeEntry]) -> dict[str, Any]:
        every = ask.flag(work.inputs, "IncludeAllInstances")
        return {
            "InstanceStatuses": [
                {
                    "InstanceId": one.id,
                    "InstanceState": self._state(one),
                    "InstanceStatus": {"Status": "ok" if self._is_online(one) else "not-applicable"},
                    "SystemStatus": {"Status": "ok" if self._is_online(one) else "not-applicable"},
                }
                for one in entries
                if every or self._is_online(one)
            ]
        }

    def _described(self, work: Work, entries: Sequence[NodeEntry]) -> dict[str, Any]:
        del work
        instances = [
            {
                "InstanceId": one.id,
                "State": self._state(one),
                "Tags": [{"Key": "Name", "Value": one.name}]
                + [{"Key": key, "Value": value} for key, value in sorted(one.labels.items()) if key != "Name"],
            }
            for one in entries
        ]
        return {"Reservations": [{"Instances": instances}]}

    def _state(self, entry: NodeEntry) -> dict[str, Any]:
        name = "running" if self._is_online(entry) else "stopped"
        return {"Code": _CODES[name], "Name": name}

    # How

    def _find(self, name: str) -> NodeEntry | None:
        """A node by its id or name."""
        nodes = self._house.state.world.nodes
        wanted = nodes.named(name)
        for entry in nodes.entries:
            if entry is not None and (entry.name == name or (wanted and entry.id == name)):
                return entry
        return None

    def _is_online(self, entry: NodeEntry) -> bool:
        world = self._house.state.world
        return bool(world.online & world.nodes.named(entry.id))

    def _require_online(self, entries: Sequence[NodeEntry]) -> None:
        off = [entry for entry in entries if not self._is_online(entry)]
        if off:
            raise Waiting(f"{_listed(off)} to be online: nothing here switches a machine on")

    def _is_off(self, entry: NodeEntry) -> bool:
        """Whether it has not been here for a while: a node that only lost its connection comes back before that."""
        if self._is_online(entry):
            self._gone.pop(entry.id, None)
            return False
        now = self._house.clock.elapsed()
        return now - self._gone.setdefault(entry.id, now) >= OFF_SECONDS

    def _require(self, work: Work, entries: Sequence[NodeEntry], verb: str, kind: str) -> None:
        nodes = self._house.state.world.nodes
        chosen = nodes.listed([entry.id for entry in entries])
        reach = self._house.permissions.reach(work.subject, verb, kind, nodes)
        require_reach(chosen, reach, (_listed(entries),), self._house.state.world)

    def _switch_off(self, work: Work, entries: Sequence[NodeEntry]) -> None:
        if not self._house.shelf.catalog().fleet.automation.power_off:
            remedy = "set spec.automation.powerOff in fleet.yaml"
            raise Refused("no automation may switch machines off: nothing here switches them on", "powerOff", remedy)
        row = self._ordered(work, [entry for entry in entries if self._is_online(entry)], POWER_OFF)
        if row is not None and row.final and row.status != "Success":
            raise Refused(f"command {row.id} to switch off ended as {row.details}", "powerOff")

    def _retire(self, work: Work, entries: Sequence[NodeEntry]) -> None:
        if not self._house.shelf.catalog().fleet.automation.retire:
            raise Refused("no automation may retire nodes", "retire", "set spec.automation.retire in fleet.yaml")
        for entry in entries:
            self._house.service.retire(work.subject, entry.id)

    def _ordered(self, work: Work, entries: Sequence[NodeEntry], lines: Sequence[str]) -> CommandRow | None:
        """The command of this work; None where there is none yet and nobody is left that could be told."""
        known = command_of(work)
        if entries:
            self._house.orders.require_thaw()
            self._require(work, entries, "run", OF_THE_REPOSITORY)
        inputs = {"runCommand": list(lines), "timeoutSeconds": 600}
        body = Body(f"Command/{work.document}", work.document, [BodyStep(work.step, "aws:runShellScript", 1, inputs)])
        effect = Dispatch(
            document=work.document,
            nodes=self._house.state.world.nodes.listed([entry.id for entry in entries]),
            body=canonical(to_wire(body)),
            targets=_listed(entries),
            comment=f"step {work.step} of {work.execution}",
        )
        cause = Cause(work.id, work.begun, work.subject.name, effect.comment)
        desk = self._house.desk
        if not nodeset.size(effect.nodes):
            return desk.known(known)
        return self._house.loop.call(lambda: desk.dispatch(effect, cause, {}, known))


def _listed(entries: Sequence[NodeEntry]) -> str:
    return ", ".join(sorted(entry.name for entry in entries))
