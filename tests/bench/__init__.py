"""Measurements: `python -m tests.bench` prints a table and writes build/bench.json.

Belongs here: scenarios and their timing, each figure with what it is compared with. Nothing here asserts a time.
"""
