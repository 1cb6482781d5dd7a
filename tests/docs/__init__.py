"""The documentation's generated parts, and the tests that hold all of it to the code.

A page is written by hand; between `<!-- generated: NAME ARGUMENTS -->` and `<!-- end -->` stands what the program
says: tables from the schemas, help, dry runs. `python -m tests.docs` (`make docs`) writes them anew, and the README's
tour with what its commands print. Belongs here: what reads pages. Does not belong here: prose.
"""
