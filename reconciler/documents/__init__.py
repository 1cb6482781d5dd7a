"""The SSM document language: parse, check, interpolate, compile to the steps that an agent runs.

Belongs here: what an SSM document means, whoever uses it. Pure: trees and values in, steps and findings out.
Does not belong here: kinds of our own, targets, nodes, how a step is carried out (see `agent.steps`).
"""
