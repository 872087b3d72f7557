"""What the first charge points' trial says of the CSMS, in words: what was tried, what came, what to do."""

from __future__ import annotations

import urllib.parse
from typing import Final

from loadsim.charge_point.preflight import Finding

_CONNECTING: Final = {
    "refused": "is it running, and are host and port of csms.url right?",
    "reset": "is it a CSMS that listens there?",
    "closed": "is it a CSMS that listens there, and does it know this charge point?",
    "dns": "is the host of csms.url right?",
    "tls": "are csms.auth.ca and the host of csms.url right, and does it speak TLS on this port?",
    "timeout": "does a firewall drop what goes to csms.url, or must the CSMS be woken first?",
    "unreachable": "is there a route to the host of csms.url?",
    "subprotocol": "csms.subprotocol: optional takes a CSMS that agrees to none",
    "bad_handshake": "is it a WebSocket that listens at csms.url?",
    "http_401": "are csms.auth, or the fleet's passwords, what the CSMS was provisioned with?",
    "http_403": "may this charge point connect, and is csms.auth right?",
    "http_404": "is the path of csms.url right, and was the CSMS provisioned with this charge point?",
    "EMFILE": "raise the limit of descriptors (ulimit -n)",
    "EADDRNOTAVAIL": "are csms.source_addresses addresses of this machine?",
}
_BOOTING: Final = {
    "timeout": "is it an OCPP 1.6 CSMS, and does csms.call_timeout leave it enough time?",
    "callerror": "does the CSMS know this charge point (loadsim ids lists all), and take its fleet's boot data?",
    "malformed": "its answer is no valid BootNotification.conf of OCPP 1.6",
    "connection_lost": "does the CSMS know this charge point (loadsim ids lists all)?",
}
_BY_KIND: Final = {
    "http_2": "is the path of csms.url that of its WebSocket?",
    "http_3": "it is not followed: is csms.url the place that it leads to?",
    "http_4": "what does the CSMS's log say?",
    "http_5": "is the CSMS, or the proxy before it, up?",
}
_OTHER_SCHEME: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "ws": (("closed", "reset", "bad_handshake"), "perhaps it speaks TLS on this port (wss://)"),
    "wss": (("closed", "reset", "timeout"), "perhaps it speaks no TLS on this port (ws://)"),
}
"""By the URL's scheme, how a connect fails where the CSMS's is the other one."""


def problem_in_words(finding: Finding, url: str) -> str:
    """Say in one line why the run does not begin."""
    url = url.replace("{id}", urllib.parse.quote(finding.charge_point, safe=""))
    who = f"{finding.charge_point}, the first charge point of its fleet,"
    came = f"{finding.outcome} ({finding.detail})"
    if finding.step == "connect":
        cure = _CONNECTING.get(finding.outcome) or _BY_KIND.get(finding.outcome[:6], "")
        outcomes, other = _OTHER_SCHEME.get(urllib.parse.urlsplit(url).scheme, ((), ""))
        if finding.outcome in outcomes:
            cure = f"{cure} {other}".strip()
        return f"cannot reach the CSMS at {url}: {who} was not let in: {came}{_also(cure)}"
    if finding.step == "boot":
        cure = _BOOTING.get(finding.outcome, "")
        return (
            f"the CSMS at {url} is not ready: {who} got no valid answer to its BootNotification: {came}{_also(cure)}"
        )
    return f"an internal error ended {who} before the run began, see loadsim.log: {came}"


def note_in_words(finding: Finding) -> str:
    """Say in one line what is odd, and forbids nothing."""
    who = f"{finding.charge_point}, the first charge point of its fleet,"
    return f"the CSMS answered the boot of {who} {finding.outcome} ({finding.detail}); the run goes on all the same"


def _also(cure: str) -> str:
    return f"; {cure}" if cure else ""
