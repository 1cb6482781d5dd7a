"""The SSM document language: parse, check, explain, interpolate, compile to the steps that an agent runs.

Belongs here: what an SSM document of any type means, whoever uses it; the documents that are built in (`library`).
Pure: bytes, trees and values in, documents, steps and findings out.
Does not belong here: kinds of our own, targets, nodes, how a step is carried out (see `agent.steps`).
"""
