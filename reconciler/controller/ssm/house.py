"""What calls are answered from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.controller.automation.beginning import Beginnings
    from reconciler.controller.automation.desk import AutomationDesk
    from reconciler.controller.automation.runbooks import Runbooks
    from reconciler.controller.commands import CommandDesk
    from reconciler.controller.document_orders import DocumentOrders
    from reconciler.controller.loop import Loop
    from reconciler.controller.permissions import Permissions
    from reconciler.controller.service import ControllerService
    from reconciler.controller.shelf import Shelf
    from reconciler.controller.state import State
    from reconciler.core.ports import Clock, Source


@dataclass(frozen=True, slots=True)
class House:
    """`service` answers as it answers faces; the others are for what is ordered under an id of the caller's."""

    state: State
    loop: Loop
    source: Source
    clock: Clock
    permissions: Permissions
    shelf: Shelf
    orders: DocumentOrders
    beginnings: Beginnings
    desk: CommandDesk
    executions: AutomationDesk
    runbooks: Runbooks
    service: ControllerService
