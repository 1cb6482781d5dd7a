"""SSM's own API, answered by this system: what runbooks that drive SSM drive.

Belongs here: the table of calls (`api`), and by subject what each asks of this system and how its answer is worded as
SSM words it (`commands`, `executions`, `documents`, `parameters`, `nodes`, `associations`). A call has the rights of
who the execution acts for, and made again under the same id it is the same call.
Does not belong here: anything that a face could not ask for too.
"""

from reconciler.controller.ssm.api import SERVICE, SsmApi
from reconciler.controller.ssm.house import House

__all__ = ["SERVICE", "House", "SsmApi"]
