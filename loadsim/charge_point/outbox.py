"""What a charge point has to say: messages in the order of their events (OCPP 1.6, sections 3.7 and 4.9; pure).

Messages about transactions are *kept*: they outlive connections, go out in their order, and are tried again.
Others (the status of a connector) may overtake them while they wait, and are dropped when the connection is, but
for those that are *lasting* (how an update of the firmware goes, security events): they wait for the next one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import msgspec

from loadsim.ocpp.action import Action


class Message(ABC):
    """One message that waits to be sent.

    *due* is its event, in seconds of the run; it is not tried before *ready*. *attempts* have failed so far.
    """

    __slots__ = ("attempts", "due", "order", "ready")

    action: ClassVar[Action]
    kept: ClassVar[bool] = False
    lasting: ClassVar[bool] = False

    def __init__(self, due: float, ready: float = -math.inf) -> None:
        self.due = due
        self.ready = ready
        self.attempts = 0
        self.order = 0

    @property
    def tag_class(self) -> str:
        """Return the class of tags under which it is counted as well; "" for none."""
        return ""

    @abstractmethod
    def request(self) -> msgspec.Struct:
        """Make the request, now that it is its turn: what it says of its transaction may not be known earlier."""

    def expected(self, response: Any) -> bool:
        """Tell whether *response* is the one that the scenario expects."""
        return True

    def delivered(self, response: Any) -> None:  # noqa: B027 - most kinds of message have nothing to do
        """Take in the answer."""

    def unanswered(self, message_id: str) -> None:  # noqa: B027 - most kinds of message have nothing to do
        """Take in that a try under *message_id* has ended without an answer; one may come late."""

    def given_up(self) -> None:  # noqa: B027 - most kinds of message have nothing to do
        """Take in that it will never be delivered."""


class Backlog:
    """How many kept messages are in the outboxes that share it, so that nobody has to go through them all."""

    __slots__ = ("messages",)

    def __init__(self) -> None:
        self.messages = 0


class Outbox:
    """The messages of one charge point. Times are seconds of the run."""

    __slots__ = ("_backlog", "_count", "held_until", "kept", "others")

    def __init__(self, backlog: Backlog | None = None) -> None:
        self._backlog = Backlog() if backlog is None else backlog
        # Lists, though the first is taken most often: they are short, and an empty deque takes 700 bytes.
        self.kept: list[Message] = []
        self.others: list[Message] = []
        self._count = 0
        self.held_until = -math.inf
        """Until when kept messages wait for one that is tried again, or last did."""

    def __len__(self) -> int:
        return len(self.kept) + len(self.others)

    def put(self, message: Message) -> None:
        """Add a message: it is the newest."""
        self._count += 1
        message.order = self._count
        (self.kept if message.kept else self.others).append(message)
        self._backlog.messages += message.kept

    def next(self, now: float) -> Message | None:
        """Return the message whose turn it is at *now*; of those kept that is the oldest or none."""
        kept = self.kept[0] if self.kept and self.kept[0].ready <= now else None
        if not self.others:
            return kept
        other = next((message for message in self.others if message.ready <= now), None)
        if kept is None or other is None:
            return kept or other
        return kept if kept.order < other.order else other

    def next_at(self) -> float:
        """Return when a message can be tried next, if none is added; infinity when there is none."""
        firsts = [self.kept[0].ready] if self.kept else []
        return min((*firsts, *(message.ready for message in self.others)), default=math.inf)

    def remove(self, message: Message) -> None:
        """Take out a message: it was delivered, or is given up."""
        (self.kept if message.kept else self.others).remove(message)
        self._backlog.messages -= message.kept

    def clear(self) -> list[Message]:
        """Take out all messages, and return them: the charge point's life is over."""
        left = [*self.kept, *self.others]
        self._backlog.messages -= len(self.kept)
        self.kept.clear()
        self.others.clear()
        return left

    def failed(self, message: Message, now: float, *, attempts: int, interval: float) -> bool:
        """Note that the CSMS failed to process *message*; tell whether it is given up (section 3.7.1).

        The wait before the next of *attempts* tries is *interval* seconds times the tries so far. What is not
        kept is tried once.
        """
        message.attempts += 1
        if not message.kept or message.attempts >= attempts:
            self.remove(message)
            return True
        self.held_until = message.ready = now + interval * message.attempts
        return False

    def drop_others(self) -> list[Message]:
        """Drop what neither is kept nor lasts, and return it: the connection is gone (section 4.9: no history)."""
        if not self.others:
            return []
        dropped = [message for message in self.others if not message.lasting]
        self.others = [message for message in self.others if message.lasting]
        return dropped
