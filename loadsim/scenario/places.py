"""Where in a scenario a mistake is, and the names to call the place by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from loadsim.errors import Mistake
from loadsim.scenario.document import Document, Node, Place
from loadsim.units import shown

MOST_NAMED = 8
"""Names that a message lists; more would hide what it says."""

_LONGEST = 100
"""Characters of a key that a message shows: the longest name that is right has fewer."""

KeyPath = tuple[str | int, ...]


class Places:
    """Turns paths of keys into places, and remembers what was complained of."""

    def __init__(self, document: Document, root: Node) -> None:
        self.root = root
        self._document = document
        self._complained: set[KeyPath] = set()
        self._above: set[KeyPath] = set()
        self._labels: dict[str, dict[int, str]] = {}

    def find(self, path: Sequence[str | int]) -> tuple[KeyPath, Node, Place]:
        """Follow *path* as far as the file goes.

        Returns what was followed, the node there, and the place to point at: the value, or its key when
        *path* names something inside it that is not in the file.
        """
        node, place, followed = self.root, self.root.place, 0
        for part in path:
            if part not in node.children:
                break
            place = node.keys.get(str(part), node.children[part].place)
            node = node.children[part]
            followed += 1
        if followed == len(path) or node.kind == "scalar":
            place = node.place
        return tuple(path[:followed]), node, place

    def key(self, path: Sequence[str | int]) -> Place:
        """Return the place of the key that *path* ends with."""
        _, parent, place = self.find(path[:-1])
        child = parent.children.get(path[-1])
        return parent.keys.get(str(path[-1]), child.place if child is not None else place)

    def keys(self, *path: str | int) -> list[str]:
        """Return the keys of the mapping at *path*, as written, whether right or wrong."""
        followed, node, _ = self.find(path)
        return list(node.keys) if len(followed) == len(path) else []

    def report(self, path: Sequence[str | int], message: str, *, key: bool = False) -> None:
        """Note a mistake at *path*, at its value or its *key*, unless the place was complained of already."""
        followed, _, place = self.find(path)
        if self._unreadable(followed):
            return
        self._remember(tuple(path))
        name = self.name(tuple(path) if key else followed)
        self._document.report(self.key(path) if key else place, f"{name}{message}")

    def warn(self, path: Sequence[str | int], message: str, *, key: bool = False) -> None:
        """Note a doubt at *path*, at its value or its *key*, or at the nearest that is written of it."""
        followed, _, place = self.find(path)
        name = self.name(tuple(path) if key else followed)
        self._document.warn(self.key(path) if key else place, f"{name}{message}")

    def report_missing(self, path: KeyPath) -> None:
        """Note that the key *path* ends with is not there, at the mapping that lacks it."""
        followed, node, place = self.find(path[:-1])
        if str(path[-1]) in node.keys or self._unreadable(followed):
            return
        self._remember(path)
        where = self.key(followed) if followed else place
        self._document.report(where, f"{self.name(followed)}the key {shown(str(path[-1]))} is missing")

    def report_file(self, mistake: Mistake) -> None:
        """Note a mistake in a file that the scenario names."""
        self._document.mistakes.append(mistake)

    def broken(self, *path: str | int) -> bool:
        """Tell whether something at or below *path* is wrong already."""
        if path in self._above or any(path[:length] in self._complained for length in range(len(path) + 1)):
            return True
        followed, node, _ = self.find(path)
        return self._unreadable(followed) or (len(followed) == len(path) and _any_broken(node))

    def name(self, path: KeyPath) -> str:
        """Write *path* for a person, stages and faults by their names: "stages.peak.for: "."""
        text = ""
        for number, part in enumerate(path):
            label = self._item(path[:number], part) if isinstance(part, int) else part
            label = label if len(label) <= _LONGEST else f"{label[:_LONGEST]}..."
            if isinstance(part, int) and label == str(part):
                text += f"[{part}]"
            else:
                text += f".{label}" if text else label
        return f"{text}: " if text else ""

    def _remember(self, path: KeyPath) -> None:
        self._complained.add(path)
        self._above.update(path[:length] for length in range(len(path)))

    def _item(self, path: KeyPath, index: int) -> str:
        """Return what item *index* of the list at *path* is called: its number, where it has no name of its own."""
        if path not in (("stages",), ("faults",)):
            return str(index)
        section = str(path[0])
        if section not in self._labels:
            names = [node.children.get("name") for node in self.root.children[section].children.values()]
            texts = [node.value if node is not None and isinstance(node.value, str) else "" for node in names]
            often = Counter(texts)
            found = {number: text for number, text in enumerate(texts) if text and often[text] == 1}
            self._labels[section] = found
        return self._labels[section].get(index, str(index))

    def _unreadable(self, path: KeyPath) -> bool:
        return any(self.find(path[:length])[1].broken for length in range(len(path) + 1))


def nearest(word: str, words: Iterable[str]) -> str:
    """Write a hint for a misspelt *word*, or nothing."""
    by_small = {candidate.casefold(): candidate for candidate in words}
    found = get_close_matches(word.casefold(), by_small, n=1)
    return f"; did you mean {shown(by_small[found[0]])}?" if found else ""


def unknown(what: str, word: str, words: Collection[str]) -> str:
    """Write a message for a *word* that is none of *words*: which one is near, else which there are, if a few."""
    hint = nearest(word, words)
    if not hint and 0 < len(words) <= MOST_NAMED:
        *others, last = map(shown, words)
        hint = f"; expected {', '.join(others)} or {last}" if others else f"; there is only {last}"
    return f"unknown {what} {shown(word)}{hint}"


def _any_broken(node: Node) -> bool:
    return node.broken or any(_any_broken(child) for child in node.children.values())
