"""Transfers that really happen, with servers on loopback; each has a deadline."""

from __future__ import annotations

import hashlib
import socket

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.charge_point import transfer_thread
from loadsim.charge_point.location import file_name_of, is_real, is_supported
from loadsim.charge_point.transfer import download, upload
from loadsim.charge_point.transfer_thread import Patience, Result, settled
from tests.file_servers import Handler, ftp_server, http_server, raw_server

FIRMWARE = bytes(range(256)) * 4096  # a megabyte, several blocks
LOG = b"2026-11-22T09:15:00Z all is well\n"

pytestmark = [pytest.mark.network, pytest.mark.timeout(30)]


async def put(location: str, file_name: str = "log.txt") -> Result:
    return await upload(location, (), file_name, lambda: LOG)


# Where to.


@pytest.mark.parametrize(
    ("location", "supported", "real"),
    [
        ("http://127.0.0.1:8080/fw.bin", True, True),
        ("HTTPS://LOCALHOST/fw.bin", True, True),
        ("ftp://user:word@[::1]/logs/", True, True),
        ("http://files.test.example/fw.bin", True, True),
        ("http://other.test.example/fw.bin", True, False),
        ("http://127.0.0.1@other.test.example/", True, False),
        ("http://127.0.0.1\\@other.test.example/", True, False),
        ("http://127.0.0.1.other.test.example/", True, False),
        ("http://0.0.0.0/", True, False),
        ("sftp://127.0.0.1/fw.bin", False, False),
        ("file:///etc/passwd", False, False),
        ("http:///fw.bin", False, False),
        ("http://[::1/fw.bin", False, False),
        ("http://127.0.0.1:99999/", False, False),
        ("fw.bin", False, False),
        ("", False, False),
    ],
)
def test_only_loopback_and_hosts_that_are_listed_are_reached(location: str, supported: bool, real: bool) -> None:
    assert is_supported(location) == supported
    assert is_real(location, ["Files.test.example"]) == real


@given(st.text())
def test_any_text_is_a_location_or_none(text: str) -> None:
    assert is_supported(text) or not is_real(text, ())
    file_name_of(text)


async def test_a_host_that_is_not_allowed_is_not_even_asked() -> None:
    result = await download("http://192.0.2.1/fw.bin")

    assert result == Result("permission_denied", "no host that may be reached")


async def test_a_redirect_to_a_host_that_is_not_allowed_is_not_followed() -> None:
    with http_server() as server:
        server.answer = lambda handler: handler.say(302, Location="http://192.0.2.1/fw.bin")
        result = await download(server.url + "fw.bin")

    assert result.cause == "permission_denied"
    assert len(server.requests) == 1


# Downloads.


async def test_a_download_is_read_to_its_end_and_hashed() -> None:
    with http_server() as server:
        server.files["/fw.bin"] = FIRMWARE
        result = await download(server.url + "fw.bin")

    assert result == Result(size=len(FIRMWARE), sha256=hashlib.sha256(FIRMWARE).digest())


async def test_a_redirect_within_what_is_allowed_is_followed() -> None:
    def answer(handler: Handler) -> bool:
        return handler.path == "/latest" and handler.say(302, Location="/fw.bin")

    with http_server() as server:
        server.files["/fw.bin"] = FIRMWARE
        server.answer = answer
        result = await download(server.url + "latest")

    assert result.ok
    assert result.size == len(FIRMWARE)


async def test_redirects_in_a_circle_end() -> None:
    with http_server() as server:
        server.answer = lambda handler: handler.say(302, Location="/again")
        result = await download(server.url)

    assert result.cause == "failed"
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (204, "failed"),
        (400, "bad_message"),
        (401, "permission_denied"),
        (403, "permission_denied"),
        (404, "failed"),
        (405, "unsupported"),
        (500, "failed"),
        (501, "unsupported"),
    ],
)
async def test_every_status_but_200_is_a_failed_download(status: int, cause: str) -> None:
    with http_server() as server:
        server.answer = lambda handler: handler.say(status)
        result = await download(server.url + "fw.bin")

    assert (result.cause, result.detail) == (cause, f"HTTP {status}")


async def test_a_download_that_is_cut_short_is_a_failure() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 999) as address:
        result = await download(f"http://{address}/fw.bin")

    assert result == Result("failed", "1 bytes are missing")


async def test_a_download_longer_than_the_limit_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_thread, "MOST_BYTES", len(FIRMWARE) - 1)
    with http_server() as server:
        server.files["/fw.bin"] = FIRMWARE
        result = await download(server.url + "fw.bin")

    assert result.cause == "failed"
    assert result.detail.startswith("longer than")


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = await download(f"http://127.0.0.1:{port}/fw.bin")

    assert result.cause == "failed"


async def test_user_and_password_of_the_location_are_sent_and_not_passed_on() -> None:
    def answer(handler: Handler) -> bool:
        elsewhere = server.url.replace("127.0.0.1", "localhost") + "fw.bin"
        return handler.path == "/latest" and handler.say(302, Location=elsewhere)

    with http_server() as server:
        server.files["/fw.bin"] = FIRMWARE
        server.answer = answer
        await download(server.url.replace("//", "//user:p%40ss@") + "latest")

    assert server.headers[0]["authorization"] == "Basic dXNlcjpwQHNz"
    assert "authorization" not in server.headers[1]


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:8080")
    monkeypatch.setenv("no_proxy", "")
    with http_server() as server:
        server.files["/fw.bin"] = FIRMWARE

        assert (await download(server.url + "fw.bin")).ok


async def test_firmware_comes_over_ftp_too() -> None:
    with ftp_server() as server:
        server.files["pub/fw.bin"] = FIRMWARE
        found, missing = await download(server.url + "pub/fw.bin"), await download(server.url + "pub/no.bin")

    assert found == Result(size=len(FIRMWARE), sha256=hashlib.sha256(FIRMWARE).digest())
    assert missing.cause == "permission_denied"


# Uploads.


async def test_an_upload_puts_the_file() -> None:
    with http_server() as server:
        result = await put(server.url + "logs/cp1.txt")

    assert result == Result(size=len(LOG))
    assert server.files == {"/logs/cp1.txt": LOG}
    assert server.requests == ["PUT /logs/cp1.txt"]


@pytest.mark.parametrize(("path", "kept"), [("logs/", "/logs/a%20b.txt"), ("", "/a%20b.txt")])
async def test_a_location_that_ends_in_a_slash_is_a_folder(path: str, kept: str) -> None:
    with http_server() as server:
        await put(server.url + path, "a b.txt")

    assert server.files == {kept: LOG}


async def test_where_put_is_not_allowed_the_file_is_posted() -> None:
    with http_server() as server:
        server.answer = lambda handler: handler.command == "PUT" and handler.say(405)
        result = await put(server.url + "log")

    assert result.ok
    assert server.requests == ["PUT /log", "POST /log"]
    assert server.files == {"/log": LOG}


@pytest.mark.parametrize(
    ("status", "cause"), [(403, "permission_denied"), (405, "unsupported"), (302, "failed"), (507, "failed")]
)
async def test_an_upload_that_is_refused_says_why(status: int, cause: str) -> None:
    with http_server() as server:
        server.answer = lambda handler: handler.say(status, Location=server.url)
        result = await put(server.url + "log")

    assert result.cause == cause
    assert server.files == {}


@pytest.mark.parametrize(
    ("path", "kept"),
    [("", "log.txt"), ("logs", "logs/log.txt"), ("logs/cp1.txt", "logs/cp1.txt"), ("cp1.txt", "cp1.txt")],
)
async def test_over_ftp_a_path_is_a_folder_if_there_is_one(path: str, kept: str) -> None:
    with ftp_server("logs") as server:
        result = await put(server.url + path)

    assert result == Result(size=len(LOG))
    assert server.files == {kept: LOG}


async def test_ftp_logs_in_as_the_location_says_else_anonymously() -> None:
    with ftp_server(password="p@ss") as server:
        refused = await put(server.url)
        result = await put(server.url.replace("//", "//user:p%40ss@"))

    assert refused.cause == "permission_denied"
    assert result.ok
    assert [request for request in server.requests if request.startswith("USER")] == ["USER anonymous", "USER user"]


async def test_a_path_cannot_smuggle_a_command_into_ftp() -> None:
    with ftp_server() as server:
        result = await put(server.url + "a%0d%0aDELE%20b")

    assert result.cause == "bad_message"
    assert server.requests == []


# Servers that do as they like.


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\xfe",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
        b"HTTP/1.1 302 Found\r\n\r\n",
    ],
)
async def test_nothing_that_a_server_says_raises(content: bytes) -> None:
    with raw_server(content) as address:
        results = [await download(f"http://{address}/"), await download(f"ftp://{address}/x")]
        results += [await put(f"http://{address}/"), await put(f"ftp://{address}/x")]

    assert not all(result.ok for result in results)
    assert not results[1].ok
    assert not results[3].ok


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_of_a_server_raise(noise: bytes) -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\n" + noise) as address:
        settled(transfer_thread.download, f"http://{address}/", (), Patience())
    with raw_server(b"220 hello\r\n331 and\r\n230 welcome\r\n200 ok\r\n" + noise) as address:
        assert not settled(transfer_thread.download, f"ftp://{address}/x", (), Patience()).ok


async def test_an_ftp_server_that_does_not_stop_talking_is_left() -> None:
    with raw_server(b"220-hello\r\n" + b" and\r\n" * 5000) as address:
        result = await download(f"ftp://{address}/fw.bin")

    assert result == Result("bad_message", "more than 1000 lines")


async def test_a_transfer_that_nobody_waits_for_stops() -> None:
    patience = Patience()
    patience.give_up()
    with http_server() as server:
        server.files["/fw.bin"] = FIRMWARE
        result = settled(transfer_thread.download, server.url + "fw.bin", (), patience)

    assert result == Result("failed", "took too long")


async def test_at_most_twenty_are_under_way_at_a_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        location = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        silent.setblocking(False)
        accepted: list[socket.socket] = []
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(download, location)
            with trio.move_on_after(0.5):
                while True:
                    try:
                        accepted.append(silent.accept()[0])
                    except BlockingIOError:
                        await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        for connection in accepted:
            connection.close()

    assert len(accepted) == 20
