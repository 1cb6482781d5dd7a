"""ops:sudoers. One file of /etc/sudoers.d, which visudo has accepted before it lands.

A file there that sudo cannot read takes sudo away from everybody, so without visudo nothing is written.
"""

from __future__ import annotations

from agent.contract.inputs.accounts import SudoersInputs
from agent.contract.inputs.files import FileInputs
from agent.contract.paths import sudoers_file
from agent.steps.derived import DerivedFileStep


class SudoersStep(DerivedFileStep):
    """Rules that are there or not."""

    def __init__(self) -> None:
        super().__init__(_as_file)


def _as_file(desired: SudoersInputs) -> FileInputs:
    if desired.state == "absent":
        return FileInputs(sudoers_file(desired.name), state="absent")
    content = "".join(line + "\n" for line in desired.rules)
    return FileInputs(
        sudoers_file(desired.name), content=content, mode="0440", owner="root", group="root", validate="visudo -cf %s"
    )
