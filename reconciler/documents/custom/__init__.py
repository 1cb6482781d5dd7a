"""Steps of the config repository's own: `steps/NAME/` with a manifest and the program that it names, action `x:NAME`.

Belongs here: what a manifest may say (`manifest`), JSON Schema at work on a step's inputs (`schema`), what becomes of
both on the wire (`step`). Pure: the folder's files come as values.
Does not belong here: how the program is run (`agent.steps.custom`), which commit the folder is read at.
"""
