"""Who may do what: every address that changes something × every role × every way to forge it, from the URL map."""

import itertools
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from flask import Flask, url_for

from app import create_app
from app.console.security import RANK, ROLE_ATTRIBUTE, Role
from app.settings import Settings
from tests.app.console.conftest import NAMES, Site, Visitor

HOW = ("good", "no token", "token of another session", "foreign origin", "foreign fetch")
# With the rights and a good token a form without its fields is understood: refused, done, or about nothing.
UNDERSTOOD = {200, 302, 303, 400, 401, 404, 409, 422}


def application() -> Flask:
    """The application, for its URL map; it connects to nothing."""
    settings = replace(Settings(), database_url="postgresql://nowhere/x", secret_key="k" * 32, config=Path("/nothing"))
    return create_app(settings)


APP = application()
RULES = [rule for rule in APP.url_map.iter_rules() if rule.endpoint.startswith("console.")]
POSTS = sorted({rule.endpoint for rule in RULES if rule.methods and "POST" in rule.methods})
PAGES = sorted({rule.endpoint for rule in RULES if rule.methods and "GET" in rule.methods and not rule.arguments})


def address(endpoint: str) -> str:
    """The path below /console, its parts filled with ids of nothing."""
    rule = next(rule for rule in RULES if rule.endpoint == endpoint and (rule.methods or set()) & {"GET", "POST"})
    with APP.test_request_context():
        return url_for(endpoint, **dict.fromkeys(rule.arguments, "nothing")).removeprefix("/console")


def role_of(endpoint: str) -> Role | None:
    """The role that the view names."""
    found: Role | None = getattr(APP.view_functions[endpoint], ROLE_ATTRIBUTE)
    return found


@pytest.fixture(scope="module")
def everybody(site: Site) -> dict[str, Visitor]:
    """One of each role, and a stranger."""
    return {"nobody": site.visitor(), **{role: site.visitor(name) for role, name in NAMES.items()}}


def sent(visitor: Visitor, endpoint: str, how: str, foreign_token: str) -> httpx.Response:
    """The answer to a form that was made in this way."""
    own_page = "/system" if "counterfoil_session" in visitor.cookies else "/login"
    tokens = {"no token": "", "token of another session": foreign_token}
    token = tokens[how] if how in tokens else visitor.token(own_page)
    headers = {
        "foreign origin": {"Origin": "http://evil.example"},
        "foreign fetch": {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"},
    }.get(how, {})
    data = {"csrf_token": token} if token else {}
    return visitor.post(address(endpoint), data=data, headers=headers)


@pytest.mark.parametrize("endpoint", POSTS)
def test_every_change_names_its_role(endpoint: str) -> None:
    assert hasattr(APP.view_functions[endpoint], ROLE_ATTRIBUTE), f"{endpoint} does not say who may do it"


@pytest.mark.parametrize("endpoint", [one for one in POSTS if one != "console.login.logout"])
def test_changes_are_refused_unless_all_is_right(endpoint: str, everybody: dict[str, Visitor], site: Site) -> None:
    foreign_token = site.visitor("olive").token("/system")
    needed = role_of(endpoint)
    for (role, visitor), how in itertools.product(everybody.items(), HOW):
        response = sent(visitor, endpoint, how, foreign_token)
        told = f"{endpoint} as {role}, {how}: {response.status_code}"
        match how:
            case "no token" | "token of another session":
                assert response.status_code == 400, told
            case "foreign origin" | "foreign fetch":
                assert response.status_code == 403, told
            case _ if needed is None:
                assert response.status_code in UNDERSTOOD, told
            case _ if role == "nobody":
                assert response.status_code == 401, told
            case _ if RANK[Role(role)] < RANK[needed]:
                assert response.status_code == 403, told
            case _:
                assert response.status_code in UNDERSTOOD, told


@pytest.mark.parametrize("endpoint", PAGES)
def test_pages_are_shown_to_operators_alone(endpoint: str, everybody: dict[str, Visitor]) -> None:
    page = everybody["viewer"].get(address(endpoint))
    assert page.status_code in (200, 302), page.text
    if endpoint != "console.login.form":
        stranger = everybody["nobody"].get(address(endpoint))
        assert stranger.status_code == 302
        assert "/console/login" in stranger.headers["location"]


@pytest.mark.parametrize("endpoint", PAGES)
def test_pages_run_no_script_but_their_own(endpoint: str, everybody: dict[str, Visitor]) -> None:
    page = everybody["viewer"].get(address(endpoint))
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    nonces = {part.split("'nonce-")[1].rstrip("';") for part in policy.split() if "nonce-" in part}
    if page.status_code == 200:
        assert all(f'nonce="{nonce}"' in page.text for nonce in nonces)
        assert " style=" not in page.text
        assert " onclick=" not in page.text


def test_errors_keep_the_policy_too(everybody: dict[str, Visitor]) -> None:
    refused = everybody["operator"].post("/bulk", data={})
    assert refused.status_code == 400
    assert "nonce-" in refused.headers["content-security-policy"]
    nowhere = everybody["operator"].get("/nowhere/at/all")
    assert nowhere.status_code == 404
    assert "There is no page" in nowhere.text
