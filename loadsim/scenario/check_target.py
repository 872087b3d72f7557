"""What the keys of ``csms`` must be together, and the files that ``csms.auth`` names."""

from __future__ import annotations

from pathlib import Path

from loadsim.scenario.files import read_file, read_password
from loadsim.scenario.model_csms import AuthModel, CsmsModel
from loadsim.scenario.patterns import only_id
from loadsim.scenario.places import Places
from loadsim.units import shown

_AUTH = ("csms", "auth")


def check_csms(csms: CsmsModel, places: Places, folder: Path) -> str | None:
    """Report what is wrong between the keys of ``csms``; return the password."""
    if csms.url is not None and csms.embedded is not None:
        places.report(
            ("csms", "embedded"), "the embedded CSMS runs only without a url; leave one of them out", key=True
        )
    interval = csms.embedded.interval if csms.embedded is not None else None
    if interval is not None and interval % 1:
        places.report(("csms", "embedded", "interval"), "expected whole seconds, as OCPP sends them")
    if csms.embedded is not None and csms.embedded.boot_status == []:
        places.report(("csms", "embedded", "boot_status"), "expected at least one of Accepted, Pending, Rejected")
    addresses = csms.source_addresses or []
    for index, address in enumerate(addresses):
        if address in addresses[:index] and not places.broken("csms", "source_addresses"):
            places.report(("csms", "source_addresses", index), f"the address {shown(address)} stands here twice")
    if csms.auth is None:
        return None
    if csms.url is None and csms.auth.user not in (None, "{id}"):
        places.report((*_AUTH, "user"), "the embedded CSMS asks for each charge point's id: expected {id}")
    return _check_auth(csms.auth, places, folder)


def _check_auth(auth: AuthModel, places: Places, folder: Path) -> str | None:
    if auth.user is not None:
        _check_user(auth.user, places)
    if auth.ca is not None:
        _check_ca(folder / auth.ca, places)
    if auth.password is not None and auth.password_file is not None:
        places.report((*_AUTH, "password_file"), "give either password or password_file", key=True)
    if auth.password is not None:
        _, node, _ = places.find((*_AUTH, "password"))
        if node.literal:
            places.report(
                (*_AUTH, "password"), "a literal part is refused; write the variable alone: ${CSMS_PASSWORD}"
            )
        return _check_characters(auth.password.get_secret_value(), "password", places)
    if auth.password_file is not None:
        path = folder / auth.password_file
        try:
            return _check_characters(read_password(path), "password_file", places)
        except ValueError as error:
            places.report((*_AUTH, "password_file"), f"{shown(str(path), 300)} {error}")
    return None


def _check_user(user: str, places: Places) -> None:
    try:
        only_id(user)
    except ValueError as error:
        places.report((*_AUTH, "user"), str(error))
    if not user or ":" in user or not user.isprintable():
        places.report((*_AUTH, "user"), "expected a user name without ':' and control characters (RFC 7617)")


def _check_ca(path: Path, places: Places) -> None:
    try:
        text = read_file(path, 16 * 1024 * 1024)
    except ValueError as error:
        places.report((*_AUTH, "ca"), f"{shown(str(path), 300)} {error}")
        return
    if "-----BEGIN" not in text:
        places.report((*_AUTH, "ca"), f"{shown(str(path), 300)} is no PEM file (-----BEGIN CERTIFICATE-----)")


def _check_characters(password: str, key: str, places: Places) -> str:
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in password):
        places.report((*_AUTH, key), "the password holds a control character, which RFC 7617 forbids")
    return password
