"""What came instead of a TCP connection, when it was this machine's own doing."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Any

import pytest
import trio

from loadsim.link.dialing import Dialer
from loadsim.link.transport import ConnectFailed


class Resolver(trio.abc.HostnameResolver):
    """Knows one address of every name, unless there are no descriptors left."""

    def __init__(self) -> None:
        self.asked = 0
        self.exhausted = False

    async def getaddrinfo(self, host: Any, port: Any, *_: int) -> list[Any]:
        self.asked += 1
        if self.exhausted:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]

    async def getnameinfo(self, *_: Any) -> tuple[str, str]:
        raise AssertionError("nobody asks for names")


@pytest.fixture
def resolver() -> Resolver:
    return Resolver()


def no_descriptors(*_: object) -> socket.socket:
    raise OSError(errno.EMFILE, "Too many open files")


async def outcomes(dialer: Dialer, count: int) -> Sequence[str]:
    found = []
    for _ in range(count):
        with pytest.raises(ConnectFailed) as failed:
            await dialer.dial(0, None)
        found.append(failed.value.outcome)
    return found


async def test_a_name_is_not_asked_for_again_because_descriptors_ran_out(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio.socket.set_custom_hostname_resolver(resolver)
    monkeypatch.setattr("loadsim.link.dialing.socket.socket", no_descriptors)
    assert await outcomes(Dialer("csms.example", 9), 3) == ["EMFILE"] * 3
    assert resolver.asked == 1


async def test_a_look_up_for_which_there_is_no_descriptor_is_none_of_the_names_fault(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio.socket.set_custom_hostname_resolver(resolver)
    resolver.exhausted = True
    dialer = Dialer("csms.example", 9)
    assert await outcomes(dialer, 1) == ["dns"]
    monkeypatch.setattr("loadsim.link.dialing.socket.socket", no_descriptors)
    assert await outcomes(dialer, 1) == ["EMFILE"]
