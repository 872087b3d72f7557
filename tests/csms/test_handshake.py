"""Who is let in: identities, subprotocols, passwords (OCPP-J 1.6, sections 3.1, 3.2 and 6.2)."""

import base64
from typing import Literal
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.csms.handshake import Admitted, Refused, identity_of, judge
from loadsim.csms.options import ServerOptions
from tests.csms.peer import GOOD_HANDSHAKE, connected, dial, request, running

OPEN = ServerOptions()
CLOSED = ServerOptions(password="s3cret:ü")


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["", "/ocpp", "/a/b/c"])
)
def test_any_identity_is_found_at_the_end_of_any_path(identity: str, path: str) -> None:
    assert identity_of(f"{path}/{quote(identity, safe='')}?token=a/b") == identity


@pytest.mark.parametrize(("target", "identity"), [("/", ""), ("/ocpp/", ""), ("/?a=/CP1", ""), ("/%FF", None)])
def test_a_path_without_an_identity_is_not_found(target: str, identity: str | None) -> None:
    assert identity_of(target) == identity
    verdict = judge(target, [], ["ocpp1.6"], OPEN)
    assert isinstance(verdict, Refused)
    assert verdict.status == 404


@pytest.mark.parametrize(
    ("rule", "offered", "agreed", "serve"),
    [
        ("ocpp1.6", ["ocpp1.6"], "ocpp1.6", True),
        ("ocpp1.6", ["ocpp2.0.1", "ocpp1.6"], "ocpp1.6", True),
        ("ocpp1.6", ["ocpp2.0.1"], None, False),
        ("ocpp1.6", [], None, False),
        ("optional", ["ocpp1.6"], "ocpp1.6", True),
        ("optional", ["ocpp2.0.1"], None, True),
        ("optional", [], None, True),
        ("none", ["ocpp1.6"], None, True),
        ("none", [], None, True),
    ],
)
def test_the_subprotocol_is_agreed_to_by_its_rule(
    rule: Literal["ocpp1.6", "optional", "none"], offered: list[str], agreed: str | None, serve: bool
) -> None:
    assert judge("/CP1", [], offered, ServerOptions(subprotocol=rule)) == Admitted("CP1", agreed, serve)


def credentials(value: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), (b"authorization", value)]


def basic(login: str) -> bytes:
    return base64.b64encode(login.encode())


@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        (credentials(b"Basic " + basic("CP1:s3cret:ü")), True),
        (credentials(b"basic  " + basic("CP1:s3cret:ü") + b" "), True),
        (credentials(b"Basic " + basic("CP2:s3cret:ü")), False),
        (credentials(b"Basic " + basic("CP1:s3cret")), False),
        (credentials(b"Basic " + basic("CP1")), False),
        (credentials(b"Basic ***"), False),
        (credentials(b"Bearer " + basic("CP1:s3cret:ü")), False),
        (credentials(b""), False),
        ([], False),
    ],
)
def test_the_user_is_the_identity_and_the_password_the_one_given(
    headers: list[tuple[bytes, bytes]], admitted: bool
) -> None:
    verdict = judge("/ocpp/CP1", headers, [], CLOSED)

    assert isinstance(verdict, Admitted) is admitted
    if isinstance(verdict, Refused):
        assert verdict.status == 401
        assert verdict.headers[0][0] == b"WWW-Authenticate"


def test_the_options_do_not_show_the_password() -> None:
    assert "s3cret" not in repr(CLOSED)


@pytest.mark.network
@pytest.mark.parametrize(
    "path", ["/CP1", "/ocpp/CP1", "/a/b/c/CP1", "/steve/websocket/CentralSystemService/CP1?x=/y"]
)
async def test_any_path_leads_to_the_same_charge_point(path: str) -> None:
    async with running() as server:
        async with connected(server, "/CP1", boot=True):
            pass
        async with connected(server, path) as peer:
            assert await peer.ask("Heartbeat", {})


@pytest.mark.network
@pytest.mark.parametrize("identity", ["CP 1", "a/b", "Säule 7", "100%", "?#", "+"])
async def test_the_identity_is_percent_decoded(identity: str) -> None:
    options = ServerOptions(password="geheim")
    async with running(options) as server:
        path = "/ocpp/" + quote(identity, safe="")
        async with connected(server, path, login=f"{identity}:geheim") as peer:
            assert (await peer.boot())["status"] == "Accepted"


@pytest.mark.network
async def test_without_an_identity_the_answer_is_404() -> None:
    async with running() as server:
        response = await request(server, b"GET /ocpp/ HTTP/1.1\r\n" + GOOD_HANDSHAKE + b"\r\n")
        record = server.record()

    assert response.startswith(b"HTTP/1.1 404 ")
    assert record["connections"]["http_404"] == 1


@pytest.mark.network
@pytest.mark.parametrize("login", [None, "CP1:wrong", "CP2:right", "CP1:"])
async def test_a_wrong_password_gets_401_and_a_challenge(login: str | None) -> None:
    header = b"" if login is None else b"Authorization: Basic " + basic(login) + b"\r\n"
    async with running(ServerOptions(password="right")) as server:
        response = await request(server, b"GET /CP1 HTTP/1.1\r\n" + GOOD_HANDSHAKE + header + b"\r\n")
        async with connected(server, login="CP1:right") as peer:
            assert await peer.boot()
        record = server.record()

    assert response.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nwww-authenticate: basic " in response.lower()
    assert record["connections"]["http_401"] == 1
    assert record["connections"]["opened"] == 1


@pytest.mark.network
@pytest.mark.parametrize("offered", [(), ("ocpp2.0.1",), ("ocpp1.5", "ocpp2.0.1")])
async def test_where_ocpp16_is_asked_for_and_not_offered_the_connection_opens_without_it_and_closes(
    offered: tuple[str, ...],
) -> None:
    async with running(ServerOptions(subprotocol="ocpp1.6")) as server:
        async with connected(server, subprotocols=offered) as peer:
            assert peer.websocket.subprotocol is None
            assert await peer.close_code() == 1002
        async with connected(server) as peer:
            assert peer.websocket.subprotocol == "ocpp1.6"
            assert await peer.boot()
        record = server.record()

    assert record["connections"]["no_subprotocol"] == 1
    assert record["connections"]["opened"] == 1


@pytest.mark.network
async def test_the_101_without_a_subprotocol_has_no_header_of_it() -> None:
    async with running(ServerOptions(subprotocol="ocpp1.6")) as server:
        head = b"GET /CP1 HTTP/1.1\r\n" + GOOD_HANDSHAKE + b"Sec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n"
        async with await dial(server) as stream:
            await stream.send_all(head)
            response = b"".join([part async for part in stream])

    assert response.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-protocol" not in response.lower()
    assert b"\x03\xea" in response  # the close frame's 1002


@pytest.mark.network
@pytest.mark.parametrize(
    ("rule", "offered", "agreed"), [("none", ("ocpp1.6",), None), ("optional", (), None), ("optional", ("x",), None)]
)
async def test_a_server_that_asks_for_no_subprotocol_serves_without(
    rule: Literal["optional", "none"], offered: tuple[str, ...], agreed: str | None
) -> None:
    async with running(ServerOptions(subprotocol=rule)) as server, connected(server, subprotocols=offered) as peer:
        assert peer.websocket.subprotocol == agreed
        assert await peer.boot()
