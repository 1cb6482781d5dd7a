"""Revision: the files of one commit taken together, and which of their resources are valid with all they refer to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import digest
from reconciler.capabilities.apps import group
from reconciler.capabilities.nodes import association
from reconciler.capabilities.trust import operator
from reconciler.core import select
from reconciler.core.fields import TARGET_EXPECTED
from reconciler.core.parameters import is_parameters
from reconciler.core.problem import Finding, Invalid, Place, nearest
from reconciler.core.resource import Metadata
from reconciler.core.resource import uid as uid_of
from reconciler.documents import built_in
from reconciler.documents.compile import compile_document
from reconciler.documents.stored import NotStored
from reconciler.engine import automated, parameters
from reconciler.engine.drafts import Draft
from reconciler.engine.nesting import nesting
from reconciler.engine.sources import Referred

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.capabilities.nodes.association import Compiled
    from reconciler.core.manifest import Loc
    from reconciler.engine.drafts import Broken, ReadFile
    from reconciler.engine.sources import Sources

DEEPEST = 32
"""Groups nested deeper than this are refused."""

FLEET_FILE = "fleet.yaml"


@dataclass(frozen=True, slots=True)
class Good:
    """A resource that is valid, at a revision, with all it refers to. `groups` are those it names, by name."""

    draft: Draft
    commit: str
    fingerprint: str
    compiled: Compiled | None = None
    groups: Mapping[str, Good] = field(default_factory=dict)
    warnings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Bad:
    """A resource that is not. `reason` is one word; `cause` names what it refers to, where the fault is there."""

    reason: str
    findings: tuple[Finding, ...]
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A resource that some file names, rightly or wrongly."""

    uid: str
    kind: str
    name: str
    place: Place


class Revision:
    """Verdicts are found when asked for, and once."""

    def __init__(self, commit: str, files: Iterable[ReadFile], sources: Sources) -> None:
        self.commit = commit
        self.known: dict[str, Known] = {}
        self.unreadable: dict[str, tuple[Finding, ...]] = {}
        self.paths: set[str] = set()
        self._sources = sources
        self._drafts: dict[str, Draft] = {}
        self._named: dict[tuple[str, str], Known] = {}
        self._faults: dict[str, list[Finding]] = {}
        self._verdicts: dict[str, Good | Bad] = {}
        for file in files:
            self.paths.add(file.path)
            if file.unreadable:
                self.unreadable[file.path] = file.unreadable
            for draft in file.drafts:
                if self._know(draft):
                    self._drafts[draft.uid] = draft
            for broken in file.broken:
                self._know(broken)
                self._faults.setdefault(broken.uid, []).extend(broken.findings)
        self._refuse_shared_keys()
        self._refuse_bad_nesting()
        self._collect_parameters()

    def verdict(self, uid: str) -> Good | Bad | None:
        """Whether a resource is valid with all it refers to; None where no file names it."""
        if uid not in self._verdicts:
            if uid not in self.known:
                return None
            self._verdicts[uid] = self._judge(uid)
        return self._verdicts[uid]

    def of(self, kind: str) -> Iterator[str]:
        """The uids of a kind that files name."""
        return (uid for uid, known in self.known.items() if known.kind == kind)

    def drafts(self, kind: str) -> Iterator[Draft]:
        """What files declare rightly, whatever it refers to."""
        return (draft for draft in self._drafts.values() if draft.kind == kind)

    def fleet(self) -> Good | Bad:
        """The verdict on the settings that everything is done by."""
        found = list(self.of("Fleet"))
        if not found:
            finding = Finding("there is no Fleet", Place(FLEET_FILE), "one resource of kind Fleet in fleet.yaml")
            return Bad("Missing", (finding,))
        verdict = self.verdict(found[0])
        assert verdict is not None
        return verdict

    def _know(self, found: Draft | Broken) -> bool:
        """Take note of a resource; a second one of that identity or name makes both wrong."""
        here = Known(found.uid, found.kind, found.name, found.place)
        alike = (self.known.get(found.uid), self._named.get((found.kind, found.name)))
        for other in dict.fromkeys(filter(None, alike)):
            self._refuse_second(other, found)
        self._named.setdefault((found.kind, found.name), here)
        if found.kind == "Fleet" and (others := list(self.of("Fleet"))):
            self._refuse_second(self.known[others[0]], found)
        if found.uid in self.known:
            return False
        self.known[found.uid] = here
        return True

    def _refuse_second(self, first: Known, second: Draft | Broken) -> None:
        if second.kind == "Fleet":
            what, expected = "a Fleet is declared already", "one for the whole repository"
        else:
            what, expected = f"{second.kind} `{second.name}` is declared already", "each name once"
        faults = self._faults.setdefault(first.uid, [])
        faults.append(Finding(what, first.place, expected, related=(second.place,)))
        self._faults.setdefault(second.uid, faults if first.uid == second.uid else []).append(
            Finding(what, second.place, expected, related=(first.place,))
        )

    def _collect_parameters(self) -> None:
        """Refuse parameters that do not go together, and let references find the others."""
        drafts = [draft for kind in parameters.KINDS for draft in self.drafts(kind)]
        found = parameters.collected(drafts)
        for uid, finding in found.faults:
            self._faults.setdefault(uid, []).append(finding)
        if any(uid in self._faults for uid in (draft.uid for draft in drafts)):
            found = parameters.collected(draft for draft in drafts if draft.uid not in self._faults)
        self.parameters = found
        self._sources.kept = Referred(found.stored(lambda: self._sources.history(self.commit)))

    def _refuse_shared_keys(self) -> None:
        """A key that two operators have would not tell who signed."""
        holders: dict[bytes, tuple[str, Place]] = {}
        for uid in self.of("Operator"):
            draft = self._drafts.get(uid)
            for position, key in enumerate(operator.public_keys(draft.spec)) if draft else ():
                assert draft is not None
                place = draft.places.of(("spec", "keys", position))
                other, there = holders.setdefault(key, (uid, place))
                if other != uid:
                    message = f"the key is {other}'s too"
                    self._faults.setdefault(uid, []).append(Finding(message, place, related=(there,)))
                    message = f"the key is {uid}'s too"
                    self._faults.setdefault(other, []).append(Finding(message, there, related=(place,)))

    def _refuse_bad_nesting(self) -> None:
        groups = {draft.name: draft for draft in self.drafts("Group")}
        found = nesting({name: sorted(group.nested(draft.spec)) for name, draft in groups.items()})
        for name, circle in found.circles.items():
            message = f"groups go round in a circle: {' -> '.join(circle)}"
            self._refuse(groups[name], message, "groups without a way back")
        for name, depth in found.depths.items():
            if depth > DEEPEST:
                self._refuse(groups[name], "groups are nested too deeply", f"at most {DEEPEST} levels")

    def _refuse(self, draft: Draft, message: str, expected: str) -> None:
        self._faults.setdefault(draft.uid, []).append(Finding(message, draft.place, expected))

    def _judge(self, uid: str) -> Good | Bad:
        faults = self._faults.get(uid)
        if faults:
            return Bad("Invalid", tuple(dict.fromkeys(faults)))
        draft = self._drafts[uid]
        if draft.kind == "Association":
            return self._association(draft)
        if draft.kind == "Group":
            return self._group(draft)
        if draft.kind == "Parameter" and self.parameters.declared.get(draft.spec.name) is None:
            place = draft.places.of(("spec", "name"))
            return self._without(f"nothing gives `{draft.spec.name}` a value", place, "`value` here, or a tree file")
        warnings = draft.spec.warnings if draft.kind == "Document" else ()
        return Good(draft, self.commit, _fingerprint(draft), warnings=warnings)

    def _group(self, draft: Draft) -> Good | Bad:
        groups, bad = self._groups(draft, _references_of_group(draft.spec))
        if bad:
            return bad
        return Good(draft, self.commit, _fingerprint(draft, groups), groups=groups)

    def _association(self, draft: Draft) -> Good | Bad:
        spec: association.AssociationSpec = draft.spec
        groups, bad = self._groups(draft, _references_of_targets(spec.targets))
        document = self.verdict(uid_of("Document", spec.document)) or self._built_in(spec.document)
        if document is None:
            names = [*(self.known[uid].name for uid in self.of("Document")), *built_in.texts()]
            near, place = nearest(spec.document, names), draft.places.of(("spec", "document"))
            finding = Finding(f"there is no document `{spec.document}`", place, "a file in documents/", near)
            return Bad("Invalid", (*(bad.findings if bad else ()), finding))
        if isinstance(document, Bad):
            cause = uid_of("Document", spec.document)
            finding = Finding(f"the document `{spec.document}` is not valid", draft.places.of(("spec", "document")))
            return bad or Bad("DocumentInvalid", (finding,), cause)
        if document.draft.spec.type == "Automation":
            return self._automated(draft, document, groups, bad)
        if fault := _not_for_nodes(draft):
            return Bad("Invalid", (*(bad.findings if bad else ()), fault))
        compiled = self._compiled(draft, document.draft)
        if isinstance(compiled, Bad) and compiled.reason == _NOT_STORED and not bad:
            first = compiled.findings[0]
            return self._without(first.message, first.place, first.expected, compiled.findings)
        if isinstance(compiled, Bad):
            return Bad("Invalid", (*(bad.findings if bad and not bad.cause else ()), *compiled.findings))
        if bad:
            return bad
        ready, warnings = compiled
        fingerprint = _fingerprint(draft, groups, ready.body_digest)
        return Good(draft, self.commit, fingerprint, ready, groups, warnings)

    def _automated(self, draft: Draft, document: Good, groups: dict[str, Good], bad: Bad | None) -> Good | Bad:
        """An association that starts executions: it gives nodes nothing, and so has no body."""

        def place(loc: Loc) -> Place:
            return draft.places.of(("spec", *loc), key=not loc)

        found = automated.flaws(draft.spec, document.draft.spec.content, place, self._sources.kept)
        if found:
            return Bad("Invalid", (*(bad.findings if bad and not bad.cause else ()), *found))
        if bad:
            return bad
        return Good(draft, self.commit, _fingerprint(draft, groups, document.fingerprint), groups=groups)

    def _built_in(self, name: str) -> Good | None:
        """A document that comes with the program: as valid as its code."""
        document = built_in.find(name)
        if document is None:
            return None
        known, place, blob = uid_of("Document", name), Place(document.path), digest(built_in.texts()[name][1])
        draft = Draft(known, "Document", name, Metadata(name=name), document, place, document.places, blob, 0)
        return Good(draft, self.commit, _fingerprint(draft))

    def _without(self, message: str, place: Place, expected: str, findings: tuple[Finding, ...] = ()) -> Bad:
        """What lacks a parameter is wrong itself, unless a file that may declare it is."""
        for kind in parameters.KINDS:
            for uid in self.of(kind):
                if uid in self._faults:
                    where = self.known[uid].place
                    finding = Finding(f"{message}, and {where.path} is not valid", place, related=(where,))
                    return Bad("ParameterInvalid", (finding,), uid)
        hidden = next(filter(is_parameters, self.unreadable), "")
        if hidden:
            return Bad("ParameterInvalid", (Finding(f"{message}, and {hidden} cannot be read", place),), hidden)
        return Bad("Invalid", findings or (Finding(message, place, expected),))

    def _compiled(self, draft: Draft, document: Draft) -> tuple[Compiled, tuple[Finding, ...]] | Bad:
        """The association's body; found in what was compiled before where nothing that it is made of differs."""
        return self._sources.compiled((*draft.key, *document.key), lambda files: _compile(draft, document, files))

    def _groups(self, draft: Draft, references: Iterable[tuple[str, Loc]]) -> tuple[dict[str, Good], Bad | None]:
        """The groups that a resource names, or why it cannot have them: a missing one before one that is not valid."""
        found: dict[str, Good] = {}
        missing: list[Finding] = []
        invalid: list[Bad] = []
        for name, loc in references:
            verdict = self.verdict(uid_of("Group", name))
            place = draft.places.of(loc) if not isinstance(verdict, Good) else draft.place
            if verdict is None:
                known = [self.known[uid].name for uid in self.of("Group")]
                missing.append(Finding(f"there is no Group `{name}`", place, nearest=nearest(name, known)))
            elif isinstance(verdict, Bad):
                finding = Finding(f"Group `{name}` is not valid", place)
                invalid.append(Bad("GroupInvalid", (finding,), uid_of("Group", name)))
            else:
                found[name] = verdict
        if missing:
            return found, Bad("Invalid", tuple(missing))
        return found, invalid[0] if invalid else None


_NOT_STORED = "NotStored"


def _compile(draft: Draft, document: Draft, files: Any) -> tuple[Compiled, tuple[Finding, ...]] | Bad:
    spec: association.AssociationSpec = draft.spec

    def where(loc: Loc) -> Place:
        return draft.places.of(("spec", "parameters", *loc)) if loc else draft.places.of(("spec",), key=True)

    try:
        steps = compile_document(document.spec, spec.parameters, files, where, files.kept)
    except NotStored as missing:
        return Bad(_NOT_STORED, missing.findings)
    except Invalid as invalid:
        return Bad("Invalid", invalid.findings)
    return association.compiled(draft.uid, spec, steps, draft.place), steps.warnings


def _not_for_nodes(draft: Draft) -> Finding | None:
    """What keeps an association from being for nodes."""
    spec: association.AssociationSpec = draft.spec
    if spec.automation_target_parameter_name:
        place = draft.places.of(("spec", automated.OURS), key=True)
        return Finding(f"`{automated.OURS}` belongs to Automation documents", place, "an association without it")
    if not spec.targets:
        return Finding("`spec.targets` is missing", draft.places.of(("spec",), key=True), TARGET_EXPECTED)
    return None


def _references_of_targets(targets: Iterable[select.Target]) -> Iterator[tuple[str, Loc]]:
    for position, target in enumerate(targets):
        if target.key == "group":
            for at, name in enumerate(target.values):
                yield name, ("spec", "targets", position, "values", at)


def _references_of_group(spec: group.GroupSpec) -> Iterator[tuple[str, Loc]]:
    yield from _references_of_targets(spec.targets)
    for position, member in enumerate(spec.members):
        if member.startswith("group:"):
            yield member.removeprefix("group:"), ("spec", "members", position)


def _fingerprint(draft: Draft, groups: Mapping[str, Good] | None = None, body_digest: str = "") -> str:
    """Differs where anything that the resource is made of does."""
    parts = [draft.uid, draft.name, draft.blob, str(draft.index), body_digest]
    parts += [f"{name}={held.fingerprint}" for name, held in sorted((groups or {}).items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
