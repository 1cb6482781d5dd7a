"""Git, behind the ports `Source`, `ReportBranch` and `Proposals`: the config read at a commit, reports written back.

Belongs here: everything that starts git or knows how it stores things, and the same ports in memory.
Does not belong here: what the files mean (documents, engine), when to fetch or commit (the controller), settings
(wiring), or a face's words.

GitPython starts the program (`command`); plumbing does what must be fast: `cat-file --batch` (`objects`), `ls-tree`
and `diff-tree` (`trees`), `fast-import` (`fast_import`). There is no work tree but a person's own (`checkout`).
"""

from reconciler.adapters.git.checkout import Checkout, Worktree
from reconciler.adapters.git.memory import MemoryProposals, MemoryReportBranch, MemoryRepository, MemorySource
from reconciler.adapters.git.mirror import Mirror
from reconciler.adapters.git.proposals import GitProposals
from reconciler.adapters.git.remote import Remote
from reconciler.adapters.git.reports import GitReportBranch

__all__ = [
    "Checkout",
    "GitProposals",
    "GitReportBranch",
    "MemoryProposals",
    "MemoryReportBranch",
    "MemoryRepository",
    "MemorySource",
    "Mirror",
    "Remote",
    "Worktree",
]
