"""The grammar of ``csms``: the back-end under test, how to reach it, and how the embedded one behaves."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SecretStr

from loadsim.scenario.model_calls import CallModel
from loadsim.scenario.model_fields import (
    VARIABLE,
    Address,
    FilePath,
    Flag,
    Latency,
    OneOrMore,
    Reads,
    Share,
    SomeRate,
    SomeSeconds,
    Text,
    Url,
    one_of,
    whole,
)
from loadsim.scenario.model_part import Part
from loadsim.scenario.plan import MOST_PROCESSES
from loadsim.scenario.variables import FromVariable


def _password(value: Any) -> SecretStr:
    if not isinstance(value, FromVariable):
        raise ValueError("a literal password is refused; write password: ${CSMS_PASSWORD}, or use password_file")
    if not value:
        raise ValueError("the password is empty")
    return SecretStr(str(value))


class AuthModel(Part):
    """HTTP basic authentication (OCPP-J 1.6, section 6.2) and the CSMS's certificate authority."""

    user: Text | None = Field(default=None, description="User name; {id} stands for the identity. Default: {id}.")
    password: (
        Annotated[SecretStr, Reads(_password, {"type": "string", "pattern": VARIABLE, "examples": ["${PASSWORD}"]})]
        | None
    ) = Field(default=None, description="Password of every charge point, from the environment: ${CSMS_PASSWORD}.")
    password_file: FilePath | None = Field(default=None, description="File whose first line is the password.")
    ca: FilePath | None = Field(
        default=None, description="PEM file of the certificate authority that signed the CSMS's."
    )


class ConnectModel(Part):
    """Caps on how fast charge points connect, over all workers or for each."""

    rate: SomeRate | None = Field(
        default=None, description="Most connects a second over all workers. Default: no cap."
    )
    in_flight: Annotated[int, whole(1, 100_000)] | None = Field(
        default=None, description="Most handshakes at a time in each worker. Default: 100."
    )


class EmbeddedModel(Part):
    """How the embedded CSMS behaves; it is used where csms has no url."""

    interval: SomeSeconds | None = Field(
        default=None, description="Heartbeat interval it sets, whole seconds. Default: 5m."
    )
    boot_status: Annotated[list[Annotated[str, one_of("Accepted", "Pending", "Rejected")]], OneOrMore()] | None = (
        Field(default=None, description="Answers to the first, second, ... boot, the last for all that follow.")
    )
    latency: Latency | None = Field(
        default=None, description="Delay before every answer: 20ms, or 5ms..40ms (uniform)."
    )
    reject: Share | None = Field(
        default=None, description="Share of Authorize answered Blocked although the tag is good."
    )
    tags: Annotated[str, one_of("any", "known")] | None = Field(
        default=None,
        description="any: every tag is accepted. known: each tag of id_tags is answered as its class expects, "
        "others Invalid. Default: known where a class expects anything but Accepted, else any.",
    )
    concurrent_tx: Flag | None = Field(
        default=None, description="Answer ConcurrentTx to a tag that charges elsewhere. Default: false."
    )
    processes: Annotated[int, whole(1, MOST_PROCESSES)] | None = Field(
        default=None,
        description="Processes that hold its connections, on one port, for more than descriptors allow. Default: 1.",
    )
    calls: list[CallModel] | None = Field(
        default=None,
        description="What it asks of its charge points by itself. Default: remote starts for whoever waits for one.",
    )


class CsmsModel(Part):
    """The back-end under test; without a url an embedded one is started."""

    url: Url | None = Field(
        default=None,
        description="ws:// or wss:// URL; the identity is appended, or put where {id} stands.",
        examples=["wss://csms.test.example/ocpp", "${CSMS_URL}"],
    )
    subprotocol: Annotated[str, one_of("ocpp1.6", "optional", "none")] | None = Field(
        default=None, description="WebSocket subprotocol: required, offered but not required, or not offered."
    )
    auth: AuthModel | None = None
    connect: ConnectModel | None = None
    call_timeout: SomeSeconds | None = Field(default=None, description="How long an answer is awaited. Default: 30s.")
    source_addresses: list[Address] | None = Field(
        default=None, description="Local IP addresses to connect from; each has 28,000 sockets, half of them cheap."
    )
    embedded: EmbeddedModel | None = None
