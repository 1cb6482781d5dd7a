"""What libyaml complains of, in words for the person who wrote the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yaml.error import MarkedYAMLError

    from reconciler.core.manifest.tree import TreeBuilder
    from reconciler.core.problem import Invalid

_WORDS: dict[str, tuple[str, str]] = {
    "mapping values are not allowed in this context": (
        "this `:` cannot stand here",
        "quotes around a text that holds `: `, or `key: value` on a line of its own, indented as its siblings",
    ),
    "block sequence entries are not allowed in this context": (
        "this `-` cannot stand here",
        "the list on the lines below, or `[...]`, or quotes around text",
    ),
    "did not find expected key": (
        "this does not continue the mapping begun above",
        "`key: value`, indented as its siblings",
    ),
    "could not find expected ':'": ("this line has no `:`", "`key: value`, or more indentation for a text's next line"),
    "did not find expected '-' indicator": (
        "this is not an item of the list begun above",
        "`- ` indented as the items before, or less indentation",
    ),
    "did not find expected ',' or ']'": ("a list in `[...]` is not closed", "`,` or `]`"),
    "did not find expected ',' or '}'": ("a mapping in `{...}` is not closed", "`,` or `}`"),
    "did not find expected node content": ("a value is missing", "a value before this"),
    "did not find expected <document start>": (
        "this does not belong to the document above",
        "the indentation of the document's first line, or `---` before a new document",
    ),
    "did not find expected comment or line break": (
        "text follows on the line of `|` or `>`",
        "the text on the lines below, indented",
    ),
    "found unknown escape character": (
        'unknown escape in "..."',
        "`\\\\` for a backslash, or '...' where nothing is escaped",
    ),
    "found invalid Unicode character escape code": ("this escape is no character", "a character's own code"),
    "found unexpected ':'": ("a space is missing after this `:`", "`key: value`, also in `{...}`"),
    "found incompatible YAML document": ("unknown YAML version", "1.2, or no %YAML line"),
    "found undefined tag handle": ("unknown tag", "no tag, or quotes where the `!` is text"),
    "found a tab character where an indentation space is expected": ("a tab is used to indent", "spaces"),
    "found a tab character that violates indentation": ("a tab is used to indent", "spaces"),
    "did not find expected alphabetic or numeric character": (
        "`*` and `&` begin the name of an alias or anchor, and no name follows",
        "quotes where the text begins with `*` or `&`",
    ),
}
_BETWEEN_TOKENS = "while scanning for the next token"  # its mark is only where the token before ended
_OPENED_ABOVE = ("found unexpected end of stream", "found unexpected document indicator")


def explain(error: MarkedYAMLError, builder: TreeBuilder) -> Invalid:
    """The error as a finding at its line and column, with the place where the broken part began."""
    problem = error.problem or "YAML is broken here"
    length = len(builder.text.content)
    offset = min(error.problem_mark.index, length) if error.problem_mark else 0
    begin = error.context_mark.index if error.context_mark and error.context != _BETWEEN_TOKENS else offset
    if problem in _OPENED_ABOVE and "quoted scalar" in (error.context or ""):
        return builder.failed("the closing quote of this text is missing", begin, expected=builder.text.content[begin])
    message, expected = _words(problem, error.context or "", offset, builder)
    related = (begin,) if builder.text.place(begin).line < builder.text.place(offset).line else ()
    return builder.failed(message, offset, expected=expected, related=related)


def _words(problem: str, context: str, offset: int, builder: TreeBuilder) -> tuple[str, str]:
    if problem == "found character that cannot start any token":
        character = builder.text.content[offset]
        if character == "\t":
            return "a tab is used to indent", "spaces"
        return f"a value cannot begin with `{character}`", "quotes around it"
    if problem == "did not find expected key" and "{{" in builder.text.line_at(offset):
        return "this does not continue the mapping begun above", "quotes around a value that begins with `{{`"
    return _WORDS.get(problem, (f"{problem} {context}".strip(), ""))
