"""ops:cron. One job as a file of its own in /etc/cron.d, which cron reads again by itself.

The command stands there as it is given: a `%` in it is a line end to cron, unless it is written `\\%`.
"""

from __future__ import annotations

from agent.contract.inputs.files import FileInputs
from agent.contract.inputs.services import CronInputs
from agent.contract.paths import cron_file
from agent.steps.derived import DerivedFileStep, one_line


class CronStep(DerivedFileStep):
    """A job that is there or not."""

    def __init__(self) -> None:
        super().__init__(_as_file)


def _as_file(desired: CronInputs) -> FileInputs:
    if desired.state == "absent":
        return FileInputs(cron_file(desired.name), state="absent")
    lines = ["%s=%s" % (name, one_line("environment", value)) for name, value in sorted(desired.environment.items())]
    words = [desired.schedule.strip(), desired.user, desired.command]
    lines.append(" ".join(one_line(what, word) for what, word in zip(("schedule", "user", "command"), words)))
    content = "".join(line + "\n" for line in lines)
    return FileInputs(cron_file(desired.name), content=content, mode="0644", owner="root", group="root")
