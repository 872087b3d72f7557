"""YAML text to plain data in which every key and value knows its place.

Built from the parser's events, not by a loader: YAML 1.2's core types and nothing else (no tags, no merge
keys, no dates), duplicate keys refused, aliases bounded, variables filled in scalar by scalar.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamStartEvent,
)

from loadsim.errors import Mistake
from loadsim.scenario.variables import FromVariable, substitute
from loadsim.units import shown

DEEPEST = 20
MOST_VALUES = 100_000
WIDEST_LINE = 200
_BEYOND = 1_000_000_000
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_BASED = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
SECRETS = frozenset({"password", "AuthorizationKey"})
"""Keys whose values are not shown."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_HALF = "expected text, got half a character (a surrogate)"
_PASSWORD = re.compile(r"((?:password|AuthorizationKey)[\"']?\s*:)(.*)", re.IGNORECASE)
_CREDENTIALS = re.compile(r"://[^/\s]*@")

Place = tuple[int, int]


@dataclass(slots=True, eq=False)
class Node:
    """A value and its *place* (line and column from 1); *broken* ones were complained of already.

    A mapping has *keys* (the place of each) and *children* by key, a list *children* by number, a scalar
    *value*. *literal* is the part of a scalar that stood in the file, not in a variable.
    """

    place: Place
    kind: str = "scalar"
    value: Any = None
    literal: str = ""
    broken: bool = False
    keys: dict[str, Place] = field(default_factory=dict)
    children: dict[str | int, Node] = field(default_factory=dict)

    def plain(self) -> Any:
        """Return the data without places."""
        if self.kind == "mapping":
            return {key: child.plain() for key, child in self.children.items()}
        if self.kind == "list":
            return [child.plain() for child in self.children.values()]
        return self.value


class Document:
    """A YAML text and what was found in it; *root* is None when it could not be read as YAML."""

    def __init__(self, file: str, text: str, environ: Mapping[str, str], *, secret: bool = False) -> None:
        """Read *text*; *secret*: it is the value of a key whose values are not shown."""
        self.file = file
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []
        self.root: Node | None = None
        self._lines = text.split("\n")
        self._options: list[str] = []
        self._secret = secret
        self._environ = environ
        self._anchors: dict[str, Node | None] = {}
        self._budget = MOST_VALUES
        try:
            self.root = self._document(text)
        except _Stop:
            self._mask_rest()
        except YAMLError as error:
            self._mask_rest()
            self._syntax(error)
        # The secrets further on in the line of a mistake were not known yet.
        self.mistakes = [self._quoted(mistake) for mistake in self.mistakes]

    def report(self, place: Place, message: str) -> None:
        """Note a mistake at *place*."""
        self.mistakes.append(self._quoted(Mistake(self.file, *place, message)))

    def warn(self, place: Place, message: str) -> None:
        """Note a doubt at *place*: what can be run, and may not be what is wanted."""
        self.warnings.append(self._quoted(Mistake(self.file, *place, message, warning=True)))

    def option(self, text: str) -> Place:
        """Return a place, beyond all lines, for what the option *text* of the command line put in."""
        self._options.append(text)
        return _BEYOND + len(self._options) - 1, 1

    def forgive(self, places: Collection[Place]) -> None:
        """Withdraw the mistakes at *places* of the file."""
        kept = [each for each in self.mistakes if each.file != self.file or (each.line, each.column) not in places]
        self.mistakes = kept

    @property
    def shown_text(self) -> str:
        """The text, literal secrets hidden."""
        return "\n".join(self._lines)

    def _quoted(self, mistake: Mistake) -> Mistake:
        """Return *mistake* with its line, or with as much of it around the column as is shown."""
        line, column = mistake.line, mistake.column
        if line >= _BEYOND:
            return replace(mistake, file=self._options[line - _BEYOND], line=0, column=0)
        source = self._lines[line - 1].rstrip("\r") if 1 <= line <= len(self._lines) else ""
        source = "".join(character if character.isprintable() else " " for character in source)
        caret = 0
        if column > WIDEST_LINE:
            before = column - WIDEST_LINE // 2
            source, caret = f"...{source[before:]}", column - before + len("...")
        return replace(mistake, source=source[:WIDEST_LINE].rstrip(), caret=caret)

    def _document(self, text: str) -> Node | None:
        events = YAML(typ="safe", pure=True).parse(text)
        root: Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent) and root is not None:
                self.report(_start(event), "expected one YAML document, got a second one")
                break
            if isinstance(event, NodeEvent):
                root = self._node(event, events, 0, secret=self._secret)
            elif not isinstance(event, (StreamStartEvent, DocumentStartEvent)):
                continue
        return root

    def _node(self, event: NodeEvent, events: Iterator[Any], depth: int, *, secret: bool) -> Node:
        place = _start(event)
        if isinstance(event, AliasEvent):
            return self._alias(event, place)
        if depth > DEEPEST:
            self._stop(place, f"nested deeper than {DEEPEST} levels")
        self._spend(1, place)
        if event.anchor:
            self._anchors[event.anchor] = None
        if isinstance(event, ScalarEvent):
            node = self._scalar(event, secret=secret)
        elif isinstance(event, MappingStartEvent):
            node = self._mapping(place, events, depth)
        else:
            node = self._list(place, events, depth, secret=secret)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self.report(place, f"YAML tags such as {shown(str(tag))} are not used in a scenario")
            node.broken = True
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: AliasEvent, place: Place) -> Node:
        name = str(event.anchor)
        target = self._anchors.get(name)
        if target is not None:
            self._spend(_size(target, self._budget), place)
            return target
        why = "stands inside what it names: it would never end" if name in self._anchors else "names no anchor"
        self.report(place, f"the alias {shown('*' + name)} {why}")
        return Node(place, broken=True)

    def _scalar(self, event: ScalarEvent, *, secret: bool) -> Node:
        place = _start(event)
        substituted = substitute(event.value, self._environ)
        node = Node(place, literal=substituted.literal, broken=bool(substituted.problems))
        if (secret and substituted.literal) or _CREDENTIALS.search(event.value):
            self._mask(event)
        for problem in substituted.problems:
            self.report(place, problem)
        if not is_text(substituted.text):
            self.report(place, "a variable holds bytes that are no UTF-8" if is_text(event.value) else _HALF)
            node.broken = True
        if substituted.used:
            node.value = FromVariable(substituted.text)
        else:
            node.value = substituted.text if event.style else core_value(substituted.text)
        return node

    def _list(self, place: Place, events: Iterator[Any], depth: int, *, secret: bool) -> Node:
        node = Node(place, kind="list")
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            node.children[len(node.children)] = self._node(event, events, depth + 1, secret=secret)
        return node

    def _mapping(self, place: Place, events: Iterator[Any], depth: int) -> Node:
        node = Node(place, kind="mapping")
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            key, key_place = self._key(event, events, depth)
            child = self._node(next(events), events, depth + 1, secret=key in SECRETS)
            if key is None:
                continue
            if key in node.keys:
                first = node.keys[key][0]
                self.report(key_place, f"the key {shown(key)} stands here twice, first in line {first}")
                continue
            if child.kind == "scalar" and child.value is None and not child.broken:
                self.report(key_place, f"the key {shown(key)} has no value")
                child.broken = True
            node.keys[key] = key_place
            node.children[key] = child
        return node

    def _key(self, event: NodeEvent, events: Iterator[Any], depth: int) -> tuple[str | None, Place]:
        place = _start(event)
        if isinstance(event, ScalarEvent) and event.tag is None and event.anchor is None:
            if not is_text(event.value):
                self.report(place, _HALF)
            elif event.value != "<<" or event.style:
                return str(event.value), place
            else:
                self.report(place, "merge keys ('<<') are not of YAML 1.2; write the keys out")
            return None, place
        self._node(event, events, depth + 1, secret=False)
        self.report(place, "expected a plain text as key")
        return None, place

    def _mask(self, event: ScalarEvent) -> None:
        """Hide a literal secret from the lines that messages show; carets keep their column."""
        first, last = event.start_mark, event.end_mark
        for number in range(first.line, min(last.line + 1, len(self._lines))):
            line = self._lines[number]
            begin = first.column if number == first.line else 0
            end = last.column if number == last.line else len(line)
            self._lines[number] = line[:begin] + "*" * (end - begin) + line[end:]

    def _mask_rest(self) -> None:
        """Hide what may be secrets where the end was not read; carets further on lose their column."""
        self._lines = [_PASSWORD.sub(r"\1 ***", line) for line in self._lines]

    def _syntax(self, error: YAMLError) -> None:
        problem, place = "cannot be read", (0, 0)
        if isinstance(error, MarkedYAMLError):
            problem = str(error.problem or error.context or problem)
            mark = error.problem_mark or error.context_mark
            place = (mark.line + 1, mark.column + 1) if mark is not None else place
        line = self._lines[place[0] - 1] if 0 < place[0] <= len(self._lines) else ""
        if "\\t" in problem or "\t" in line[: place[1]]:
            problem = "a tab cannot indent; use spaces"
        elif "${" in line:
            problem += " (inside [] and {} a ${VAR} needs quotes)"
        self.report(place, f"not valid YAML: {problem}")

    def _spend(self, values: int, place: Place) -> None:
        self._budget -= values
        if self._budget < 0:
            self._stop(place, f"more than {MOST_VALUES:,} values, aliases counted as often as they are used")

    def _stop(self, place: Place, message: str) -> None:
        self.report(place, message)
        raise _Stop


class _Stop(Exception):
    """The rest of the document is not worth reading."""


def core_value(text: str) -> Any:
    """Return the plain scalar *text* as YAML 1.2's core schema types it (section 10.3.2)."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def is_text(text: str) -> bool:
    """Tell whether *text* can be written: a lone surrogate, of an escape or of bytes that are not UTF-8, cannot."""
    return not _SURROGATE.search(text)


def _size(node: Node, most: int) -> int:
    """Count the values of *node*, aliases spelt out, giving up above *most*."""
    total, todo = 0, [node]
    while todo and total <= most:
        total += 1
        todo.extend(todo.pop().children.values())
    return total


def _start(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1
