"""The capabilities of SSM, one pure leaf each, in two sections: Model (the kind's spec) and Plan (effects from it).

Belongs here: what one capability knows. A leaf returns effects as data and never imports another leaf; `registry` is
the one table of them. Does not belong here: I/O, clocks, anything that needs two capabilities (see `engine`).
"""
