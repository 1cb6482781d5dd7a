"""SSM's interpolation: `{{ name }}` of declared parameters and of SSM's own prefixes; any other `{{ }}` passes through.

So Jinja2 and Go templates inside a document survive. A value that is exactly one reference keeps its type.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, List, Set

PREFIXES = ("ssm:", "ssm-secure:", "global:", "resolve:ssm:", "platform:", "automation:")
_REFERENCE = re.compile(r"\{\{\s*([A-Za-z][\w.:/@-]*)\s*\}\}")

Resolve = Callable[[str], Any]


class Listed(List[str]):
    """A list that is one text with commas where it stands within another text, as SSM keeps a StringList."""


def references(value: Any, declared: Set[str]) -> Set[str]:
    """Names that `interpolate` would ask for in `value`."""
    if isinstance(value, str):
        if "{{" not in value:
            return set()
        return {name for name in _REFERENCE.findall(value) if _ours(name, declared)}
    if isinstance(value, dict):
        return set().union(*(references(item, declared) for item in value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*(references(item, declared) for item in value))
    return set()


def interpolate(value: Any, declared: Set[str], resolve: Resolve) -> Any:
    """`value` with every reference replaced; values are not interpolated again.

    A list item that is exactly one reference to a list is spliced, as SSM does for StringList in `runCommand`.
    """

    def in_text(text: str) -> Any:
        whole = _REFERENCE.fullmatch(text)
        if whole and _ours(whole.group(1), declared):
            return resolve(whole.group(1))
        return _REFERENCE.sub(lambda found: _inline(found, declared, resolve), text)

    return in_texts(value, in_text)


def in_texts(value: Any, replace: Callable[[str], Any]) -> Any:
    """`value` with each text that has double braces as `replace` gives it. An item that becomes a list is spliced."""
    if isinstance(value, str):
        return replace(value) if "{{" in value else value
    if isinstance(value, dict):
        return {key: in_texts(item, replace) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        out = []
        for item in value:
            new = in_texts(item, replace)
            if isinstance(item, str) and isinstance(new, list):
                out.extend(new)
            else:
                out.append(new)
        return out
    return value


def _ours(name: str, declared: Set[str]) -> bool:
    return name in declared or name.startswith(PREFIXES)


def _inline(found: "re.Match[str]", declared: Set[str], resolve: Resolve) -> str:
    name = found.group(1)
    if not _ours(name, declared):
        return found.group(0)
    return written(resolve(name))


def written(value: Any) -> str:
    """A value as part of a longer text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return ("," if isinstance(value, Listed) else " ").join(value)
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return str(value)
