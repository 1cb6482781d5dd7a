"""The renderer of tests and measurements: in this process, with no bounds."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from agent.contract.template import Template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from reconciler.core.ports import Render


class MemoryRenderer:
    """For templates that are known."""

    def for_plan(self) -> Render:
        template = functools.cache(Template)

        def render(source: str, context: Mapping[str, Any]) -> str:
            return template(source).render(dict(context))

        return render

    def close(self) -> None:
        """Nothing is open."""
