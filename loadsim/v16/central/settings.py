"""What decides a central system's answers, and whether it makes sense."""

from __future__ import annotations

from typing import Final, Protocol, get_args

from loadsim.errors import UsageError
from loadsim.v16.central.tags import parse_expiry
from loadsim.v16.messages import core
from loadsim.v16.messages.types import AuthorizationStatus

LONGEST_TAG: Final = 20
"""Characters of an IdToken, which is a CiString20 (section 7.28)."""


class CentralSettings(Protocol):
    """What decides the answers; ``EmbeddedCsms`` of a plan is one.

    *boot_status* answers an identity's first, second, ... boot, the last one all that follow. *reject* is the
    share of good tags answered Blocked. *tags* is what each tag is answered, or None: Accepted, all of them.
    """

    @property
    def interval(self) -> int:
        """Seconds, in every answer to a BootNotification."""

    @property
    def boot_status(self) -> tuple[str, ...]:
        """At least one of Accepted, Pending, Rejected."""

    @property
    def reject(self) -> float:
        """From 0 to 1."""

    @property
    def tags(self) -> dict[str, str] | None:
        """Status by tag, in any case; unlisted tags are Invalid."""

    @property
    def parents(self) -> dict[str, str]:
        """The parentIdTag by tag, in any case."""

    @property
    def expiries(self) -> dict[str, str]:
        """The moment by tag from which an accepted one is Expired; RFC 3339."""

    @property
    def concurrent_tx(self) -> bool:
        """Whether a Start with a tag that has an open transaction is answered ConcurrentTx."""


def check_settings(settings: CentralSettings) -> None:
    """Refuse settings that no answer could follow.

    Raises:
        UsageError: a status is none of OCPP's, a share is none, a tag too long or an expiry no date-time.
    """
    boots, statuses = get_args(core.RegistrationStatus), get_args(AuthorizationStatus)
    if not settings.boot_status:
        raise UsageError(f"no boot status: at least one of {', '.join(boots)} is needed")
    for status in settings.boot_status:
        if status not in boots:
            raise UsageError(f"boot status {status!r}: expected one of {', '.join(boots)}")
    for tag, status in (settings.tags or {}).items():
        if status not in statuses:
            raise UsageError(f"tag {tag!r} has the status {status!r}: expected one of {', '.join(statuses)}")
    for tag, parent in settings.parents.items():
        if not 0 < len(parent) <= LONGEST_TAG:
            raise UsageError(f"tag {tag!r} has the parent {parent!r}: expected 1 to {LONGEST_TAG} characters")
    for tag, expiry in settings.expiries.items():
        try:
            parse_expiry(expiry)
        except ValueError as error:
            raise UsageError(f"tag {tag!r} has the expiry {expiry!r}: {error}") from error
    if not 0 <= settings.reject <= 1:
        raise UsageError(f"reject is {settings.reject}: expected a share from 0 to 1")
