"""Managed nodes: what is known of them, their inventory, their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.controller.ssm import given as ask
from reconciler.core.problem import Finding, Invalid, Place, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.automation.work import Work
    from reconciler.controller.ssm.house import House

View = dict[str, Any]


def described(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """The enrolled nodes within reach that all filters keep."""
    rows = [row for row in house.service.nodes(work.subject) if row["id"]]
    asked = [*ask.filters(given, "Filters"), *ask.filters(given, "InstanceInformationFilterList")]
    for key, values in asked:
        rows = [row for row in rows if _kept(row, key, values)]
    most = ask.most(given)
    return {"InstanceInformationList": [_shown(house.service.node(work.subject, row["id"])) for row in rows[:most]]}


def inventory(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """One type of a node's inventory, as it was collected."""
    name, type_name = ask.text(given, "InstanceId"), ask.text(given, "TypeName")
    found = house.service.inventory_type(work.subject, name, type_name)
    entries = found["content"]
    for key, values in ask.filters(given, "Filters"):
        attribute = key.rpartition(".")[2]
        entries = [entry for entry in entries if str(entry.get(attribute, "")) in values]
    return {
        "TypeName": type_name,
        "InstanceId": house.service.node(work.subject, name)["id"],
        "SchemaVersion": found["schemaVersion"],
        "CaptureTime": found["captureTime"],
        "Entries": entries[: ask.most(given)],
    }


def tags(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """A node's labels."""
    kind = ask.text(given, "ResourceType")
    if kind != "ManagedInstance":
        raise Invalid((Finding(f"`ResourceType` is `{kind}`", Place("ResourceType"), "`ManagedInstance`"),))
    labels = house.service.node(work.subject, ask.text(given, "ResourceId"))["labels"]
    return {"TagList": [{"Key": key, "Value": value} for key, value in sorted(labels.items())]}


def not_tagged(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """Labels are desired state, and desired state is written in one place."""
    name = str(given.get("ResourceId") or next(iter(ask.texts(given, "ResourceIds")), "") or "NAME")
    known = next((row["name"] for row in house.service.nodes(work.subject) if name in (row["id"], row["name"])), name)
    raise Refused("labels come from Git", "labels", f"change metadata.labels in nodes/{known}.yaml")


_KEYS = "InstanceIds, PingStatus, PlatformTypes, ResourceType, tag:KEY, tag-key"


def _kept(row: View, key: str, values: list[str]) -> bool:
    if key == "InstanceIds":
        return row["id"] in values or row["name"] in values
    if key == "PingStatus":
        return row["state"] in values
    if key == "PlatformTypes":
        return "Linux" in values
    if key == "ResourceType":
        return "ManagedInstance" in values
    if key == "tag-key":
        return any(label in values for label in row["labels"])
    if key.startswith("tag:"):
        return row["labels"].get(key.removeprefix("tag:")) in values
    raise ask.unknown_filter(key, _KEYS)


def _shown(node: View) -> View:
    facts = node["facts"]
    found = {
        "InstanceId": node["id"],
        "PingStatus": node["state"],
        "LastPingDateTime": node["lastSeen"],
        "AgentVersion": node["agentVersion"],
        "PlatformType": facts.get("platformType", "Linux"),
        "PlatformName": facts.get("osId", ""),
        "PlatformVersion": facts.get("osVersion", ""),
        "ResourceType": "ManagedInstance",
        "Name": node["name"],
        "ComputerName": facts.get("hostname", ""),
        "IPAddress": next(iter(facts.get("addresses") or []), ""),
        "RegistrationDate": node["enrolledAt"],
        "AssociationStatus": {"COMPLIANT": "Success", "NON_COMPLIANT": "Failed"}.get(node["compliance"], "Pending"),
    }
    return {name: value for name, value in found.items() if value not in ("", None)}
