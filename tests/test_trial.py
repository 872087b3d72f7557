"""What is said where the CSMS did not let the first charge points in."""

import pytest

from loadsim.charge_point.preflight import Finding
from loadsim.conductor.trial import problem_in_words


def said(outcome: str, url: str = "ws://csms.test.example/ocpp/{id}") -> str:
    finding = Finding(charge_point="a b", step="connect", outcome=outcome, detail="so it was")
    return problem_in_words(finding, url)


def test_the_place_that_was_tried_is_named_with_the_identity_in_it() -> None:
    assert said("http_404").startswith(
        "cannot reach the CSMS at ws://csms.test.example/ocpp/a%20b: a b, the first charge point of its fleet, "
        "was not let in: http_404 (so it was); is the path of csms.url right"
    )


def test_a_csms_that_may_speak_tls_is_told_of_as_such() -> None:
    assert said("closed").endswith("perhaps it speaks TLS on this port (wss://)")
    assert said("timeout", "wss://csms.test.example/{id}").endswith("perhaps it speaks no TLS on this port (ws://)")
    assert "TLS" not in said("timeout")


@pytest.mark.parametrize(("status", "cure"), [("http_302", "it is not followed"), ("http_200", "is the path of")])
def test_an_answer_that_is_no_refusal_has_its_cure(status: str, cure: str) -> None:
    assert f"; {cure}" in said(status)
