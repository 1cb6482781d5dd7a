"""What an agent can do to a node: one file per action, all of one shape.

A step looks (`observe`, which only reads), compares (`changes`, pure; nothing to change means compliant) and acts
(`apply`, which does those changes and nothing else). So a dry run is the first two, and is exactly what apply would do.
Some also put back what was there before (`restore`), for prune.

Belongs here: actions, and what several of them share (`step`, `attributes`, `diff`, `execution`). To add one: its
inputs in `agent.contract.inputs`, its file here, its line in `registry`, its cases in tests/agent/steps/cases.
Does not belong here: order, modes, journal, reports (`agent.runner`), or another way to the system than `agent.host`.
"""
