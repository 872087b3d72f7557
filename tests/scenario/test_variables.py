"""Variables fill in scalars and nothing else; secrets come from outside and stay there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.errors import ScenarioError
from loadsim.scenario.resolve import resolve, resolved_yaml
from loadsim.scenario.variables import substitute
from tests.scenario.helpers import FLEETS, HEAD, STAGES, messages_in, mistakes_in, plan_of, read


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${A}", "1"),
        ("x${A}y${B}z", "x1y2z"),
        ("${NO:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY}", ""),
        ("${NO:-}", ""),
        ("${NO:-ws://h/{id}}", "ws://h/{id}"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$A", "$A"),
        ("a$", "a$"),
    ],
)
def test_variables_are_filled_in(text: str, filled: str) -> None:
    result = substitute(text, {"A": "1", "B": "2", "EMPTY": ""})

    assert (result.text, result.problems) == (filled, ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${NO}", "the environment variable NO is not set"),
        ("${}", "expected ${NAME} or ${NAME:-default} after '${'"),
        ("${1A}", "expected ${NAME}"),
        ("${A", "expected ${NAME}"),
        ("${A-x}", "expected ${NAME}"),
        ("${NO:-${A}}", "the default of ${NO} cannot hold a variable itself"),
    ],
)
def test_what_cannot_be_filled_in_is_told_why(text: str, problem: str) -> None:
    assert problem in substitute(text, {"A": "1"}).problems[0]


def test_an_unset_variable_has_its_place_and_causes_no_other_mistake(tmp_path: Path) -> None:
    assert messages_in(tmp_path, HEAD + "fleets:\n  a:\n    count: ${N}\n" + STAGES) == [
        "5:12 the environment variable N is not set"
    ]


@pytest.mark.parametrize("written", ["${N}", '"${N}"', "'${N:-7}'", "1${N:-0}"])
def test_a_variable_takes_the_type_its_key_wants(tmp_path: Path, written: str) -> None:
    plan = plan_of(tmp_path, HEAD + f"fleets:\n  a:\n    count: {written}\n" + STAGES, {"N": "7"})

    assert plan.charge_points == (17 if written.startswith("1") else 7)


def test_a_variable_for_text_stays_text(tmp_path: Path) -> None:
    text = (
        HEAD
        + "fleets:\n  a:\n    count: 1\n    boot_on_reconnect: ${YES}\n    boot:\n      firmware: ${FW}\n"
        + STAGES
    )
    plan = plan_of(tmp_path, text, {"FW": "1.40", "YES": "true"})

    assert plan.fleets[0].settings.boot.firmware == "1.40"
    assert plan.fleets[0].settings.boot_on_reconnect is True


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.text(min_size=1, max_size=30) | st.sampled_from(["{a: 1}", "[x]", "x\nfaults: []", "*a", "!!int 1", "# c"]))
def test_a_value_can_never_become_structure(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    folder = tmp_path_factory.mktemp("variables")
    plan = plan_of(folder, HEAD + "description: ${V}\n" + FLEETS + STAGES, {"V": value})

    assert plan.description == value


def login(keys: str) -> str:
    return HEAD + f"csms:\n  url: ws://h\n  auth: {{{keys}}}\n" + FLEETS + STAGES


def test_a_password_comes_from_the_environment(tmp_path: Path) -> None:
    target = plan_of(tmp_path, login('password: "${PW}"'), {"PW": "hunter2"}).target

    assert (target.user, target.password) == ("{id}", "hunter2")


def test_a_password_comes_from_a_file_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hunter2\n")

    assert plan_of(tmp_path, login("password_file: pw, user: me")).target.password == "hunter2"


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ("password: hunter2", "csms.auth.password: a literal password is refused; write password: ${CSMS_PASSWORD}"),
        ("password: 12345678", "csms.auth.password: a literal password is refused"),
        ("password: [hunter2]", "csms.auth.password: a literal password is refused"),
        ('password: "${NO:-hunter2}"', "csms.auth.password: a literal part is refused; write the variable alone"),
        ('password: "hunter2${PW}"', "csms.auth.password: a literal part is refused"),
        ('password: "${EMPTY}"', "csms.auth.password: the password is empty"),
        ('password: "${NO}"', "the environment variable NO is not set"),
        ('password: "${PW}", password_file: pw', "csms.auth.password_file: give either password or password_file"),
        ("password_file: none", "does not exist, or is no regular file"),
        ("password_file: empty", "its first line is empty; expected the password"),
        ('password: "${CONTROL}"', "the password holds a control character, which RFC 7617 forbids"),
        ('password: "${PW}", user: "a:b"', "csms.auth.user: expected a user name without ':'"),
        ('password: "${PW}", user: "{n}"', "csms.auth.user: unknown placeholder '{n}'; expected {id}"),
        ("user: me", "csms.auth.user: a user needs a password, password_file, or passwords in an id file"),
        ("ca: none.pem", "none.pem' does not exist, or is no regular file"),
        ("ca: pw", "pw' is no PEM file"),
    ],
)
def test_a_login_that_cannot_be_used_is_told_why_and_keeps_its_secret(
    tmp_path: Path, auth: str, message: str
) -> None:
    (tmp_path / "pw").write_text("hunter2\n")
    (tmp_path / "empty").write_text("\n")
    environ = {"PW": "hunter2", "EMPTY": "", "CONTROL": "hunter2\n"}

    found = "\n".join(map(str, mistakes_in(tmp_path, login(auth), environ)))

    assert message in found
    assert "hunter2" not in found
    assert "12345678" not in found


def test_a_colon_in_an_identity_is_refused_where_it_becomes_a_user_name(tmp_path: Path) -> None:
    text = login('"password": "${PW}"').replace("count: 10", "count: 10, id: 'a:{n}'")

    assert messages_in(tmp_path, text, {"PW": "x"}) == [
        "7:22 fleets.a.id: the identity 'a:{n}' has a ':', which a user name of basic authentication cannot have"
    ]
    (tmp_path / "ids.csv").write_text("id\na:b\n")
    assert messages_in(tmp_path, text.replace("count: 10, id: 'a:{n}'", "id: {file: ids.csv}"), {"PW": "x"})[
        0
    ].endswith("the identity 'a:b' has a ':', which a user name of basic authentication cannot have")
    assert plan_of(tmp_path, text.replace('"password"', 'user: me, "password"'), {"PW": "x"}).target.user == "me"


@pytest.mark.parametrize("broken", ["}", "- [", "\tx", "'"])
def test_a_line_that_is_no_yaml_does_not_show_its_password(tmp_path: Path, broken: str) -> None:
    text = HEAD + "csms:\n  auth:\n    password: hunter2 " + broken + "\n    [\n"

    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, text)
    assert "hunter2" not in str(caught.value)


def test_the_user_in_a_url_is_not_repeated(tmp_path: Path) -> None:
    found = "\n".join(map(str, mistakes_in(tmp_path, HEAD + "csms: {url: 'ws://me:hunter2@h'}\n" + FLEETS + STAGES)))

    assert "hunter2" not in found


def test_a_secret_is_in_no_repr_and_not_in_the_resolved_scenario(tmp_path: Path) -> None:
    scenario = read(tmp_path, login('password: "${PW}"'), {"PW": "hunter2"})

    assert "hunter2" not in repr(scenario)
    assert "hunter2" not in repr(scenario.model)
    assert "hunter2" not in resolved_yaml(scenario, resolve(scenario))
    assert "password: '***'" in resolved_yaml(scenario, resolve(scenario))


def test_a_secret_that_stands_elsewhere_too_is_hidden_there(tmp_path: Path) -> None:
    text = login('password: "${PW}"').replace("ws://h", "ws://h/${PW}")
    scenario = read(tmp_path, text, {"PW": "hunter2"})

    assert "hunter2" not in resolved_yaml(scenario, resolve(scenario))
