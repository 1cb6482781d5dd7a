#!/usr/bin/env python3
"""json_setting.py get|test|set: one setting of a JSON file; the desired state is JSON on standard input."""

import json
import sys

import jsonfile


def actual(desired):
    """The setting as the file has it."""
    state = {"file": desired["file"], "setting": desired["setting"]}
    holder = jsonfile.holder(jsonfile.read(desired["file"]), desired["setting"])
    name = desired["setting"].rpartition(".")[2]
    return dict(state, value=holder[name]) if holder and name in holder else dict(state, _exist=False)


def wanted(desired, state):
    if desired.get("_exist") is False:
        return "value" not in state
    return "value" in state and state["value"] == desired.get("value")


def bring_about(desired):
    content = jsonfile.read(desired["file"])
    holder = jsonfile.holder(content, desired["setting"], make=True)
    name = desired["setting"].rpartition(".")[2]
    if desired.get("_exist") is False:
        holder.pop(name, None)
    else:
        holder[name] = desired.get("value")
    jsonfile.write(desired["file"], content)


def main(operation):
    desired = json.load(sys.stdin)
    if operation == "set":
        bring_about(desired)
    state = actual(desired)
    print(json.dumps(dict(state, _inDesiredState=wanted(desired, state))))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
