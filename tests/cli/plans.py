"""Plans as `plan` and `apply` show them, made by hand: what a live fleet has and Git alone has not."""

from __future__ import annotations

from reconciler.engine.views import (
    ChangeView,
    ClaimantView,
    ClaimView,
    ConflictView,
    PlanView,
    StandingView,
    SummaryView,
    WaitView,
)

COMMIT = "847e47550324bb4737a150056bbd2c4b27699a9f"
BASE = "1111111111110000000000000000000000000000"


def claim(name: str, sign: str = "~", *, diff: str = "", detail: tuple[str, ...] = (), note: str = "") -> ClaimView:
    return ClaimView(
        claim=name, sign=sign, step="step", place="documents/base.yaml:10:5", detail=list(detail), diff=diff, note=note
    )


def nodes(*names: str) -> dict[str, str]:
    return {f"mi-{name}": name for name in names}


def assign(uid: str, on: dict[str, str], *claims: ClaimView, unknown: tuple[str, ...] = ()) -> ChangeView:
    return ChangeView(
        action="Assign",
        uid=uid,
        actionDigest=f"sha256:{uid}",
        fromDigest="",
        toDigest="sha256:to",
        commit=COMMIT,
        nodes=on,
        unknown=list(unknown),
        claims=list(claims),
    )


def remove(uid: str, on: dict[str, str], *claims: ClaimView, unknown: tuple[str, ...] = ()) -> ChangeView:
    change = assign(uid, on, *claims, unknown=unknown)
    change["action"] = "Remove"
    return change


def describe(on: dict[str, str], *claims: ClaimView) -> ChangeView:
    change = assign("", on, *claims)
    change["action"] = "Describe"
    return change


def plan(*changes: ChangeView, live: bool = True, commit: str = COMMIT, base: str = BASE) -> PlanView:
    counts = {
        action: sum(len(change["nodes"]) for change in changes if change["action"] == action)
        for action in ("Assign", "Remove", "Describe")
    }
    return PlanView(
        format="opsctl.plan/v1",
        commit=commit,
        base=base,
        sequence=1,
        live=live,
        summary=SummaryView(
            nodes=5,
            online=4,
            associations=3,
            assign=counts["Assign"],
            remove=counts["Remove"],
            describe=counts["Describe"],
            conflicts=0,
            waiting=0,
        ),
        changes=list(changes),
        waiting=[],
        conflicts=[],
        warnings=[],
        errors=[],
        standing=[],
        notEnrolled=[],
    )


MOTD = """\
--- /etc/motd
+++ /etc/motd
@@ -1,2 +1,2 @@
 {name} is kept as Git says.
-Questions: ops@example.com
+Questions? ops@example.com
"""


def motd(name: str) -> ClaimView:
    return claim("path:/etc/motd", diff=MOTD.replace("{name}", name))


def everything() -> PlanView:
    """A plan with one of everything."""
    view = plan(
        remove(
            "Association/users",
            nodes("db-1", "web-1"),
            claim("user:deploy", "-", note="removed where opsctl created it"),
            claim("path:/etc/sudoers.d/deploy", "-", note="removed where opsctl created it"),
            unknown=("db-1",),
        ),
        describe(nodes("web-2"), claim("labels:Env", detail=("test -> prod",))),
        assign("Association/base", nodes("db-1"), motd("db-1"), unknown=("db-1",)),
        assign("Association/base", nodes("web-1"), motd("web-1")),
        assign("Association/base", nodes("web-2"), motd("web-2"), claim("package:curl", "+")),
        assign(
            "Association/web",
            nodes("web-1", "web-2"),
            claim("path:/etc/nginx/shop.conf", detail=("mode: 0644 -> 0640", "owner: (unset) -> root")),
            claim("path:/srv/old", "-", note="left as it is"),
        ),
    )
    view["errors"] = ["documents/new.yaml:3:1: error: `mainStep` is no field here; did you mean 'mainSteps'?"]
    view["warnings"] = ["associations/x.yaml:9:7: warning: Association/x matches no node (tag:Role=x)"]
    view["conflicts"] = [
        ConflictView(
            owned="path:/etc/hosts",
            one=ClaimantView(uid="Association/a", place="documents/a.yaml:5:5"),
            other=ClaimantView(uid="Association/b", place="documents/b.yaml:7:5"),
            nodes=["web-1"],
        )
    ]
    view["standing"] = [StandingView(uid="Association/disk-report", failed=["db-1"], drifted=[])]
    view["waiting"] = [
        WaitView(
            uid="Association/base", rule="maxConcurrency", reason="maxConcurrency 1: 1 of 3 at once", nodes=["web-2"]
        )
    ]
    view["notEnrolled"] = ["gate-1"]
    return view
