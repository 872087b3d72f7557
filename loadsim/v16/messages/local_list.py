"""Messages of the Local Auth List Management profile (OCPP 1.6, sections 5.10 and 5.15)."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, UnsetType

from loadsim.ocpp.action import Action
from loadsim.v16.messages.types import IdTagInfo, IdToken, Message
from loadsim.v16.messages.verdicts import status_accepted

UpdateType = Literal["Differential", "Full"]
UpdateStatus = Literal["Accepted", "Failed", "NotSupported", "VersionMismatch"]


class GetLocalListVersionRequest(Message):
    """Ask for the version of the local authorization list (section 5.10)."""


class GetLocalListVersionResponse(Message):
    """Tell the version: 0 is an empty list, -1 no support for lists."""

    list_version: int


class AuthorizationData(Message):
    """An entry of the list; without *id_tag_info* a differential update removes the tag (section 7.1)."""

    id_tag: IdToken
    id_tag_info: IdTagInfo | UnsetType = UNSET


class SendLocalListRequest(Message):
    """Replace the local authorization list, or change it (section 5.15)."""

    list_version: int
    update_type: UpdateType
    local_authorization_list: tuple[AuthorizationData, ...] | UnsetType = UNSET


class SendLocalListResponse(Message):
    """Say whether the list was taken over."""

    status: UpdateStatus


LOCAL_LIST: Final[tuple[Action, ...]] = (
    Action("GetLocalListVersion", GetLocalListVersionRequest, GetLocalListVersionResponse, "csms"),
    Action("SendLocalList", SendLocalListRequest, SendLocalListResponse, "csms", status_accepted),
)
