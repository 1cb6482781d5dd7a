"""`opsctl inventory`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.node import NodeArgument
from reconciler.cli.output import Format, FormatOption, print_json, print_table, say


def inventory(
    node: NodeArgument,
    type_: Annotated[
        str | None, typer.Option("--type", help="One type, as AWS:Application or Custom:Rack.", metavar="TYPE")
    ] = None,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
    format_: FormatOption = Format.text,
) -> int:
    """Show what a node collected about itself last: packages, files, network, services, processors, types of your own.

    It is the node's own word, as `aws:softwareInventory` collected it; run the document AWS-GatherSoftwareInventory, or
    give it to nodes by an Association with a schedule.

    Examples:
      opsctl inventory web-1
      opsctl inventory web-1 --type AWS:Application
      opsctl inventory web-1 --format json | jq '.types[].content[].Name'
    """
    with connect(server, ca, key) as client:
        heads = client.inventory(node)
        wanted = [type_] if type_ else [head["typeName"] for head in heads] if format_ is Format.json else []
        types = [client.inventory_type(node, name) for name in wanted]
    if format_ is Format.json:
        print_json({"format": "opsctl.inventory/v1", "node": node, "types": types})
    elif types:
        _print_items(types[0]["content"])
    else:
        rows = [(head["typeName"], head["schemaVersion"], head["captureTime"], head["contentHash"]) for head in heads]
        print_table(("TYPE", "VERSION", "COLLECTED", "CONTENT"), rows)
    return 0


def _print_items(items: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for item in items for name in item))
    filled = [name for name in names if any(item.get(name) for item in items)]
    print_table(filled, [[item.get(name, "") for name in filled] for item in items])
    if not items:
        say("nothing")
