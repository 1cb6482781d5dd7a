"""Help that reads as a manual page: what a command does, its options, then the sections of its docstring as written.

A section begins at a line such as `Examples:` and is shown after the options, its lines as they stand.
"""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand, TyperGroup

WIDTH = 80
_SECTION = re.compile(r"^([A-Z][A-Za-z ]*):$", re.MULTILINE)
_TYPE = re.compile(r" <\w+>\Z")


class Command(TyperCommand):
    """A command whose help is a page."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Required arguments bare, others in brackets, as everybody else has them."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """What stands before the first section."""
        del ctx
        _describe(self.help or "", formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then options."""
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            records = (param.get_help_record(ctx) for param in self.get_params(ctx) if param.param_type_name == kind)
            rows = [(_TYPE.sub("", name), text) for name, text in filter(None, records)]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The sections."""
        del ctx
        _write_sections(self.help or "", formatter)


class Group(TyperGroup):
    """Commands under one name, with such a page of its own."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """What stands before the first section."""
        del ctx
        _describe(self.help or "", formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The sections."""
        del ctx
        _write_sections(self.help or "", formatter)


class GroupWithDefault(Group):
    """A group of which one command needs no name: whatever begins with none of its commands is that one's."""

    default = "start"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with the name of the default put before them where they name none."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


def _describe(text: str, formatter: Any) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(_SECTION.split(text)[0].rstrip())


def _write_sections(text: str, formatter: Any) -> None:
    _, *parts = _SECTION.split(text)
    for heading, body in zip(parts[::2], parts[1::2], strict=True):
        with formatter.section(heading):
            formatter.write(body.strip("\n") + "\n")
