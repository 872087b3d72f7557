"""What becomes of a charge point that faults have hit: each fault's story, told apart, adds up to what is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.charge_point.hits import Hit, Hits
from loadsim.metrics.recorder import Recorder

What = Literal["drop", "silent", "slow", "malformed"]
Event = Literal[
    "broke", "refused", "hung_up", "gave_up", "answered", "online", "spoke", "silence_over", "slow over", "lost"
]
COUNTS = ("hit", "offline", "back", "gone", "messages_lost", "sent.empty", "survived.empty", "closed.empty")


@dataclass
class Story:
    """What has become of one hit, read from the events after it, one after the other."""

    what: What
    moment: float
    offline: bool = False
    back: float | None = None
    lost: int = 0
    final: bool = False
    verdict: str = ""
    held: bool = True
    """Whether the silence, the slowness or the wait for an answer still goes on."""

    def __post_init__(self) -> None:
        self.offline = self.what in ("drop", "silent")
        self.held = self.what != "drop"

    @property
    def lasts(self) -> bool:
        """Whether a connection that breaks now may be its doing."""
        return self.held and not self.final

    def tell(self, event: Event, at: float, *, malformed: bool) -> None:
        """Take in what happens; *malformed* tells whether a malformed message is to blame for it."""
        if self.final:
            return
        if event == "lost":
            self.lost += self.offline and self.back is None
        elif event == "online" and self.offline and self.back is None:
            self.back, self.final = at, not self.held
        elif event in ("broke", "refused") and self.held:
            if self.what == "malformed":
                self.verdict, self.held, self.final = ("closed", False, False) if malformed else ("", False, True)
                self.offline = malformed
            elif self.what == "silent" or not malformed:
                self.offline, self.back = True, None
                self.held = self.what != "silent"
        else:
            getattr(self, f"_{self.what}")(event, at)

    def another_goes_out(self) -> None:
        """Take in another malformed message: what ends the connection from now on may be its doing."""
        self.final = self.final or (self.what == "malformed" and self.held)

    def _drop(self, event: Event, at: float) -> None:
        """Nothing else concerns it."""

    def _silent(self, event: Event, at: float) -> None:
        if event == "hung_up" and self.back is None:
            self.held = False
        elif event == "spoke" and self.held:
            self.back = at
        elif event == "silence_over" and self.back is not None:
            self.final = True

    def _slow(self, event: Event, at: float) -> None:
        if event == "slow over" and self.held:
            self.held, self.final = False, self.back is not None or not self.offline

    def _malformed(self, event: Event, at: float) -> None:
        if event == "gave_up" and self.held:
            self.held, self.offline = False, True
        if event in ("hung_up", "answered") and self.held:
            self.final = True
            self.verdict = "survived" if event == "answered" else ""


def counted(recorder: Recorder, fault: str) -> dict[str, int]:
    return {name: recorder.counters[f"faults.{fault}.{name}"] for name in COUNTS}


events = st.lists(
    st.sampled_from(
        [
            *("drop", "silent", "slow", "malformed"),
            *(
                "broke",
                "broke",
                "refused",
                "hung_up",
                "gave_up",
                "answered",
                "online",
                "spoke",
                "silence_over",
                "slow over",
                "lost",
            ),
        ]
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=600)
@given(events, st.booleans())
def test_each_fault_has_its_own_story_whatever_the_others_do(happenings: list[str], gone: bool) -> None:
    recorder = Recorder()
    hits = Hits(recorder)
    stories: list[Story] = []
    slow: list[Hit] = []
    for at, event in enumerate(happenings, start=1):
        name = str(len(stories))
        if event == "malformed":
            for story in stories:
                story.another_goes_out()
        if event in ("drop", "silent", "slow", "malformed"):
            stories.append(Story(event, at))  # type: ignore[arg-type]
            hit = Hit(
                name,
                at,
                offline=event in ("drop", "silent"),
                lasting=event != "drop",
                silent=event == "silent",
                kind="empty" if event == "malformed" else "",
            )
            hits.add(hit)
            slow += [hit] * (event == "slow")
            continue
        on_trial = any(story.lasts for story in stories if story.what == "malformed")
        alone = not any(story.lasts for story in stories if story.what != "malformed")
        for story in stories:
            story.tell(event, at, malformed=on_trial and (alone or event == "refused"))  # type: ignore[arg-type]
        if event in ("broke", "refused"):
            hits.broke(refused=event == "refused")
        elif event == "slow over":
            for hit in slow:
                hits.over(hit)
        elif event in ("online", "spoke"):
            getattr(hits, event)(float(at))
        else:
            getattr(hits, "lost_message" if event == "lost" else event)()
    hits.end(gone=gone)
    hits.online(1000.0)
    hits.broke(refused=False)
    hits.lost_message()

    for number, story in enumerate(stories):
        assert counted(recorder, str(number)) == {
            "hit": 1,
            "offline": story.offline,
            "back": story.back is not None,
            "gone": gone and story.offline and story.back is None,
            "messages_lost": story.lost,
            "sent.empty": story.what == "malformed",
            "survived.empty": story.verdict == "survived",
            "closed.empty": story.verdict == "closed",
        }, (number, story)
        back = [] if story.back is None else [round((story.back - story.moment) * 100)]
        assert list(recorder.recoveries.get(str(number), ())) == back


def test_a_recovery_is_never_told_as_shorter_than_nothing() -> None:
    recorder = Recorder()
    hits = Hits(recorder)
    hits.add(Hit("f", 100.0, lasting=True))
    hits.broke(refused=False)  # by a CSMS whose clock is ahead
    hits.online(99.9)
    hits.end(gone=False)

    assert recorder.recoveries == {"f": {0: 1}}


def test_of_two_malformed_messages_the_second_has_closed_the_connection() -> None:
    recorder = Recorder()
    hits = Hits(recorder)
    for kind in ("unknown_type", "binary"):
        hits.add(Hit("f", 1.0, lasting=True, kind=kind))
    hits.broke(refused=False)

    assert recorder.counters["faults.f.closed.binary"] == recorder.counters["faults.f.offline"] == 1
    assert recorder.counters["faults.f.closed.unknown_type"] == 0
