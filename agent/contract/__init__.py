"""The ground floor: what agent and server must agree on to the byte.

Belongs here: canonical JSON and digests, wire messages, step inputs and their claims, interpolation, template
rendering, version comparers. Pure: no I/O, no clock; standard library only (Jinja2 is imported when a template is
rendered, never before), Python >= 3.8.
Does not belong here: how either side does its work.
"""
