"""`doctor`: what may keep this node from its server or from its work, each with its remedy.

Belongs here: checks, which look at one thing each, change nothing, and say what they found as a `Finding`. They work
with the server down, before enrolment, and beside a running agent, whose lock and journal they leave alone.
Does not belong here: repairs; and nothing secret ever gets into a finding.
"""
