"""Who may do what: roles and operators. Everything here lives under `access/` and changes only by signed commits.

Belongs here: kinds that grant or limit. Does not belong here: checking signatures, or asking whether a subject may.
"""
