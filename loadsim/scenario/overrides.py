"""``--set key=value``: one value of a scenario replaced before it is validated.

A key is written as messages write it: ``stages.peak.for``, ``thresholds[0]``. What is in a list is addressed by its
name or its number, from 0; a name with dots in it stands in quotes: ``fleets."site.7".count``. The value is YAML,
variables included. It replaces what the file says; what it replaces need not be right, nor its variables set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from loadsim.scenario.document import SECRETS, Document, Node, Place
from loadsim.scenario.places import KeyPath, unknown
from loadsim.units import shown

OPTION: Final = "--set"

_SPLIT: Final = re.compile(r'((?:"[^"]*"|[^="])*)=(.*)', re.DOTALL)
_PART: Final = re.compile(r'(?:(?:^|\.)(?:"([^"]+)"|([^\s.\[\]"]+)))|\[([0-9]{1,6})\]')
_LONGEST: Final = 100
_TOKEN: Final = re.compile(r"([?&][^=&\s]*=)(?!\{id\})[^&\s'\"]+")
_NAMED: Final = {"fleets": "fleet", "sessions": "session", "id_tags": "tag class"}
"""Mappings whose keys are names that the scenario gives: a new one would be a misspelt one."""
_ITEMS: Final = {"stages": "stage", "faults": "fault", "calls": "call", "thresholds": "threshold"}
"""Lists, and what one of their items is called; one without a name of its own goes by this and its number."""


def apply_overrides(document: Document, overrides: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Replace values of *document* by what *overrides* say, one after the other; its mistakes say what is wrong.

    Returns them as they may be shown: secrets are ``***``.
    """
    return tuple(_Override(document, text, environ).apply() for text in overrides)


def without_tokens(text: str) -> str:
    """Return *text* with the values in the queries of its URLs, which may be tokens, as ``***``."""
    return _TOKEN.sub(r"\1***", text)


class _Wrong(Exception):
    """The option asks for what cannot be; the text says why."""


class _Override:
    """One option, and what it replaces."""

    def __init__(self, document: Document, text: str, environ: Mapping[str, str]) -> None:
        self._document = document
        self._environ = environ
        found = _SPLIT.fullmatch(text)
        self._key = found[1].strip() if found is not None else re.split(r"[:\s]", text.strip())[0]
        self._text: str | None = found[2] if found is not None else None
        self._place: Place = (0, 0)
        self._value = Node((0, 0), broken=True)
        self._gone: set[Place] = set()

    def apply(self) -> str:
        """Do it, or report why not; return the option as it may be shown."""
        document = self._document
        if self._text is None:
            self._place = document.option(f"{OPTION} {_short(self._key)}")
            document.report(self._place, "expected key=value, as in stages.peak.for=5m")
            return self._key
        path = _path(self._key)
        given = Document("", self._text, self._environ, secret=bool(path) and path[-1] in SECRETS)
        label = f"{self._key}=" + without_tokens(given.shown_text)
        self._place = document.option(f"{OPTION} {_short(label)}")
        for mistake in given.mistakes:
            document.report(self._place, mistake.message)
        root = given.root
        if not path:
            expected = "expected a key as in stages.peak.for or thresholds[0]"
            document.report(self._place, f"{expected}, got {shown(self._key)}")
        elif not given.mistakes and (root is None or (root.kind == "scalar" and root.value is None)):
            document.report(self._place, f"the key {shown(self._key)} has no value")
        elif root is not None and document.root is not None:
            self._value = self._moved(root)
            try:
                document.root = self._put(document.root, path, ())
            except _Wrong as wrong:
                document.report(self._place, str(wrong))
            else:
                self._forgive()
        return label

    def _moved(self, node: Node) -> Node:
        """Return *node* with the option as its place."""
        return replace(
            node,
            place=self._place,
            keys=dict.fromkeys(node.keys, self._place),
            children={key: self._moved(child) for key, child in node.children.items()},
        )

    def _put(self, node: Node | None, path: KeyPath, above: KeyPath) -> Node:
        """Return *node*, which is at *above*, with the value at *path* in it; an alias elsewhere stays as it is."""
        if not path:
            if node is not None:
                self._gone |= {place for _, place in _complained(node)}
            return self._value
        first, *rest = path
        if node is None or (node.kind == "scalar" and node.value is None):
            if isinstance(first, int) or above[-1:] in {(each,) for each in _ITEMS}:
                raise _Wrong(f"there are no {_written(above)}")
            node = Node(self._place, kind="mapping")
        if node.kind == "scalar":
            raise _Wrong(f"{_written(above)} is a single value here, {shown(str(node.value))}; set it as a whole")
        key: str | int = _number(node, first, above) if node.kind == "list" else _name(node, first, above)
        before = node.children.get(key)
        child = self._put(before, tuple(rest), (*above, first))
        if node.kind == "list":
            return replace(node, children={**node.children, key: child})
        place = node.keys.get(str(key), self._place)
        if before is None or not rest or child.place == self._place:
            self._gone.add(place)
            place = self._place
        return replace(node, keys={**node.keys, str(key): place}, children={**node.children, key: child})

    def _forgive(self) -> None:
        """Withdraw what reading the file complained of in what is replaced, unless it stands elsewhere as well."""
        document = self._document
        assert document.root is not None
        document.forgive(self._gone - {place for node, place in _complained(document.root) if node.broken})


def _path(key: str) -> KeyPath:
    """Read a key; nothing where it is none."""
    parts: list[str | int] = []
    at = 0
    while at < len(key):
        found = _PART.match(key, at)
        if found is None or (at > 0 and found[0][0] not in ".["):
            return ()
        parts.append(int(found[3]) if found[3] is not None else found[1] or found[2])
        at = found.end()
    return tuple(parts)


def _written(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "a scenario"


def _name(node: Node, name: str | int, above: KeyPath) -> str:
    if isinstance(name, int):
        raise _Wrong(f"{_written(above)} is no list: expected a key in place of [{name}]")
    if len(above) == 1 and above[0] in _NAMED and name not in node.children:
        raise _Wrong(unknown(_NAMED[str(above[0])], name, list(node.keys)))
    return name


def _number(node: Node, item: str | int, above: KeyPath) -> int:
    """Return the number of *item* of a list."""
    count = len(node.children)
    if isinstance(item, int):
        if item >= count:
            numbers = f"[0] to [{count - 1}]" if count > 1 else "only [0]" if count else "none"
            raise _Wrong(f"{_written(above)} has no item [{item}]; there is {numbers}")
        return item
    what = _ITEMS.get(str(above[-1]) if above else "", "item")
    names: dict[str, int] = {}
    for number, child in enumerate(node.children.values()):
        own = child.children.get("name")
        names.setdefault(str(own.value) if own is not None else f"{what}-{number + 1}", number)
    if item not in names:
        raise _Wrong(unknown(what, item, list(names)))
    return names[item]


def _complained(node: Node) -> Iterator[tuple[Node, Place]]:
    """Yield every node under *node* with each place at which reading may have complained of it."""
    yield node, node.place
    for key, child in node.children.items():
        if str(key) in node.keys:
            yield child, node.keys[str(key)]
        yield from _complained(child)


def _short(text: str) -> str:
    one_line = "".join(character if character.isprintable() else " " for character in text)
    return one_line if len(one_line) <= _LONGEST else f"{one_line[: _LONGEST - 3]}..."
