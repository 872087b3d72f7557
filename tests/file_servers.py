"""An HTTP and an FTP server on loopback, in threads, that keep what they were given."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, TCPServer, ThreadingTCPServer


@dataclass
class Files:
    """What a server has, and what happened to it; `url` ends in a slash."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """Method and path, or command, of every request."""
    headers: list[dict[str, str]] = field(default_factory=list)
    answer: Callable[[Handler], bool] = lambda handler: False
    """Answers a request otherwise; False leaves it to the server."""


class Handler(BaseHTTPRequestHandler):
    """GET, PUT and POST of `Files`."""

    kept: Files

    def do_GET(self) -> None:
        self._note()
        if self.kept.answer(self):
            return
        content = self.kept.files.get(self.path)
        self.say(404 if content is None else 200, content or b"")

    def do_PUT(self) -> None:
        self._note()
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.kept.answer(self):
            return
        self.kept.files[self.path] = content
        self.say(201)

    def do_POST(self) -> None:
        self.do_PUT()

    def say(self, status: int, content: bytes = b"", **headers: str) -> bool:
        """Answer; return True, for `Files.answer`."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        return True

    def _note(self) -> None:
        self.kept.requests.append(f"{self.command} {self.path}")
        self.kept.headers.append({name.lower(): value for name, value in self.headers.items()})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def http_server() -> Iterator[Files]:
    """Serve until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Kept", (Handler,), {}))
    server.daemon_threads = True
    files = Files(f"http://127.0.0.1:{server.server_address[1]}/")
    server.RequestHandlerClass.kept = files  # type: ignore[attr-defined]
    with _serving(server):
        yield files


class _Ftp(StreamRequestHandler):
    """USER, PASS, CWD (into folders), TYPE, PASV, EPSV, STOR and RETR: a session of RFC 959."""

    kept: Files
    password: str | None
    folders: tuple[str, ...]

    def handle(self) -> None:
        self.folder = ""
        self.data: socket.socket | None = None
        self._say("220 ready")
        for line in self.rfile:
            command, _, argument = line.decode().strip().partition(" ")
            self.kept.requests.append(f"{command} {argument}".strip())
            getattr(self, f"_{command.lower()}", self._unknown)(argument)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def _unknown(self, argument: str) -> None:
        self._say("502 not implemented")

    def _user(self, argument: str) -> None:
        self._say("331 password?")

    def _pass(self, argument: str) -> None:
        self._say("230 welcome" if self.password in (None, argument) else "530 no")

    def _type(self, argument: str) -> None:
        self._say("200 ok")

    def _cwd(self, argument: str) -> None:
        if argument in self.folders:
            self.folder = argument + "/"
        self._say("250 ok" if argument in self.folders else "550 no such folder")

    def _pasv(self, argument: str) -> None:
        self.data = socket.create_server(("127.0.0.1", 0))
        high, low = divmod(self.data.getsockname()[1], 256)
        self._say(f"227 here (127,0,0,1,{high},{low})")

    def _stor(self, argument: str) -> None:
        self._say("150 go on")
        with self._accepted() as data:
            content = b"".join(iter(lambda: data.recv(65536), b""))
        self.kept.files[self.folder + argument] = content
        self._say("226 done")

    def _retr(self, argument: str) -> None:
        content = self.kept.files.get(argument)
        if content is None:
            assert self.data is not None
            self.data.close()
            self._say("550 no such file")
            return
        self._say("150 here it comes")
        with self._accepted() as data:
            data.sendall(content)
        self._say("226 done")

    @contextmanager
    def _accepted(self) -> Iterator[socket.socket]:
        assert self.data is not None
        with self.data:
            self.data.settimeout(10)
            connection, _ = self.data.accept()
        with connection:
            yield connection


@contextmanager
def ftp_server(*folders: str, password: str | None = None) -> Iterator[Files]:
    """Serve until the end of the block; any password is right where none is given."""
    handler = type("Kept", (_Ftp,), {"password": password, "folders": folders, "timeout": 10})
    server = ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    files = Files(f"ftp://127.0.0.1:{server.server_address[1]}/")
    handler.kept = files  # type: ignore[attr-defined]
    with _serving(server):
        yield files


@contextmanager
def raw_server(content: bytes) -> Iterator[str]:
    """Send *content* to whoever connects, whatever it says, and hang up; yield ``host:port``."""

    class Raw(StreamRequestHandler):
        timeout = 10

        def handle(self) -> None:
            self.wfile.write(content)
            self.connection.shutdown(socket.SHUT_WR)
            try:
                while self.connection.recv(65536):
                    pass
            except OSError:
                return

    server = ThreadingTCPServer(("127.0.0.1", 0), Raw)
    server.daemon_threads = True
    with _serving(server):
        yield f"127.0.0.1:{server.server_address[1]}"


@contextmanager
def _serving(server: TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
