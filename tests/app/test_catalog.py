"""The catalog: what a good file gives, and that every mistake of a bad one is told at once, with its place."""

import json
import re
from pathlib import Path

import pytest

from app.catalog import Catalog, CatalogErrors, Contract, Lookup, check_arguments, load_catalog

OWN = Path(__file__).parents[2] / "counterfoil.toml"
URL = 'url = "http://127.0.0.1:1/t"\n'


@pytest.fixture
def load(tmp_path):
    def load(text, **environ):
        path = tmp_path / "counterfoil.toml"
        path.write_text(text)
        return load_catalog(path, environ)

    return load


@pytest.fixture
def mistakes(load):
    """What is wrong with the text, as {key: mistake}."""

    def mistakes(text, **environ):
        with pytest.raises(CatalogErrors) as caught:
            load(text, **environ)
        return {mistake.key: mistake for mistake in caught.value.mistakes}

    return mistakes


def test_the_projects_own_catalog():
    tools = load_catalog(OWN, {}).tools
    assert {name: tool.contract.repeat for name, tool in tools.items()} == {
        "create_ticket": "lookup",
        "get_ticket": "safe",
        "send_email": "never",
        "create_invoice": "keyed",
    }
    ticket = tools["create_ticket"]
    assert ticket.contract.lookup == Lookup(
        "http://127.0.0.1:8091/tickets?external_ref={effect_key}", "tickets", "ticket_id"
    )
    assert (ticket.contract.settle_s, ticket.external_id) == (15.0, "ticket_id")
    assert tools["create_invoice"].contract.key_ttl_s == 86400.0
    moved = load_catalog(OWN, {"SANDBOX_URL": "http://127.0.0.1:9/"}).tools["get_ticket"]
    assert moved.url == "http://127.0.0.1:9/tools/get_ticket"


def test_no_file_is_an_empty_catalog(tmp_path):
    assert load_catalog(tmp_path / "none.toml", {}) == Catalog()


def test_defaults(load):
    tool = load("[tools.t]\n" + URL).tools["t"]
    assert tool.contract == Contract("never", 10.0, 0.0, None, None, 5, (), "hold", "send", 600.0, None)
    assert (tool.method, tool.key_header, tool.event_secret) == ("POST", "Idempotency-Key", None)
    assert not tool.contract.approval


def test_secrets_come_from_the_environment_and_do_not_show(load):
    text = f'[tools.t]\n{URL}headers = {{ Authorization = "env:TOKEN" }}\nevent_secret = "env:SECRET"\n'
    tool = load(text, TOKEN="Bearer hush", SECRET="whsec_aHVzaA==").tools["t"]
    assert tool.headers == {"Authorization": "Bearer hush"}
    assert tool.event_secret == "whsec_aHVzaA=="
    assert "hush" not in repr(tool)


def test_models_match_in_file_order(load):
    catalog = load(
        '[models."gpt-4o-mini"]\nprovider = "chat"\nbase_url = "https://a.example/v1"\nmodel = "m"\n'
        '[models."gpt-4*"]\nprovider = "assistants"\nbase_url = "${BASE}/v1"\napi_key = "env:KEY"\n',
        KEY="k",
        BASE="https://b.example",
    )
    assert catalog.model_for("gpt-4o-mini").model == "m"
    assert catalog.model_for("gpt-4.1").base_url == "https://b.example/v1"
    assert catalog.model_for("scripted") is None
    assert "api_key" not in repr(catalog.models)


@pytest.mark.parametrize(
    ("query", "by"),
    [
        ("{effect_key}", "effect_key"),
        ("{run_id}/{tool_call_id}", "effect_key"),
        ("{fingerprint}&e={effect_key}", "effect_key"),
        ("{fingerprint}", "fingerprint"),
        ("{fingerprint}&t={thread_id}&c={tool_call_id}", "fingerprint"),
    ],
)
def test_what_a_lookup_goes_by(load, query, by):
    lookup = f'lookup = {{ url = "http://127.0.0.1:1/?q={query}", found = "@", id = "id" }}\n'
    tool = load(f'[tools.t]\n{URL}repeat = "lookup"\nsettle_s = 0.5\n{lookup}').tools["t"]
    assert tool.contract.lookup.by == by


def test_a_contract_goes_through_json_and_back():
    contract = load_catalog(OWN, {}).tools["create_ticket"].contract
    assert Contract.from_json(json.loads(json.dumps(contract.to_json()))) == contract
    assert Contract.from_json(json.loads(json.dumps(Contract().to_json()))) == Contract()


def test_a_tool_under_an_older_contract():
    tool = load_catalog(OWN, {}).tools["create_ticket"]
    assert tool.under(tool.contract) is tool
    assert tool.under(Contract(timeout_s=3.0)).contract.timeout_s == 3.0


def test_the_offer_to_the_model(load):
    offer = load_catalog(OWN, {}).tools["get_ticket"].offer()
    assert offer["type"] == "function"
    assert offer["function"]["name"] == "get_ticket"
    assert offer["function"]["parameters"]["required"] == ["ticket_id"]
    bare = load("[tools.t]\n" + URL).tools["t"].offer()
    assert bare["function"] == {"name": "t", "parameters": {"type": "object", "properties": {}}}


def test_arguments_are_checked_in_words_for_the_model():
    tool = load_catalog(OWN, {}).tools["create_invoice"]
    assert check_arguments(tool, {"customer": "c", "amount_cents": 5}) is None
    assert "amount_cents" in check_arguments(tool, {"customer": "c"})
    assert check_arguments(tool, {"customer": "c", "amount_cents": "5"}).startswith("arguments.amount_cents: ")
    assert check_arguments(tool, ["x"]) == "the arguments must be a JSON object"


@pytest.mark.parametrize(
    ("text", "key", "wanted"),
    [
        ('repeat = "kyed"', "repeat", '"keyed"'),
        ("timeot_s = 3", "timeot_s", "did you mean timeout_s?"),
        ("timeout_s = 0", "timeout_s", "more than 0"),
        ('timeout_s = "3"', "timeout_s", "seconds"),
        ("timeout_s = true", "timeout_s", "seconds"),
        ("timeout_s = nan", "timeout_s", "seconds"),
        ("settle_s = -1", "settle_s", "0 or more"),
        ("max_attempts = 0", "max_attempts", "1 or more"),
        ("description = 3", "description", "text"),
        ('approval = "yes"', "approval", "true or false"),
        ('method = "FETCH"', "method", '"POST"'),
        ("refused_statuses = [200]", "refused_statuses", "400 to 599"),
        ("refused_statuses = 429", "refused_statuses", "[429]"),
        ('repeat = "keyed"', "key_ttl_s", "how long the tool remembers"),
        ("key_ttl_s = 5", "key_ttl_s", '"keyed"'),
        ('repeat = "lookup"\nsettle_s = 1', "lookup", "where to look"),
        ('external_id = "a["', "external_id", "JMESPath"),
        ('parameters = { type = "objet" }', "parameters", "JSON Schema"),
        ('parameters = { type = "array" }', "parameters", "JSON Schema"),
        ('parameters = { "$ref" = "https://a.example/s" }', "parameters", "JSON Schema"),
        ("parameters = { default = 2026-01-01 }", "parameters", "JSON Schema"),
        ('body = { a = ["{effectkey}"] }', "body", "{effect_key}"),
        ('headers = { Authorization = "env:NOPE" }', "headers.Authorization", "set NOPE"),
        ('headers = { X-Run-Id = "1" }', "headers.X-Run-Id", "another name"),
        ('headers = { Idempotency-Key = "1" }', "headers.Idempotency-Key", "key_header"),
        ('headers = { A = "b\\nc" }', "headers.A", "plain value"),
        ("headers = { A = 1 }", "headers.A", "text"),
        ('key_header = "a b"', "key_header", "header name"),
        ('event_secret = "env:NOPE"', "event_secret", "set NOPE"),
        ('event_secret = "not base64"', "event_secret", "whsec_"),
        ('when_in_doubt = "ask"', "when_in_doubt", '"tell_model"'),
        ('same_request = "drop"', "same_request", '"reuse"'),
    ],
)
def test_mistakes_name_key_line_and_what_is_right(mistakes, text, key, wanted):
    found = mistakes(f"# a tool\n[tools.t]\n{URL}{text}\n")
    assert list(found) == [key]
    mistake = found[key]
    assert wanted in str(mistake)
    assert (mistake.table, mistake.tool) == ("tools.t", "t")
    missing = key in ("lookup", "key_ttl_s") and not text.startswith(key)
    assert mistake.line == (2 if missing else 4)
    assert "counterfoil.toml:" in str(mistake)


@pytest.mark.parametrize(
    "url",
    ["", "a.example/t", "ftp://a.example/", "http://", "http://u:p@a.example/", "http://a.example/#x",
     "http://a.example/ x", "http://a.example:99999/", "http://[::1/", "http://é.example/", "http://a.example/{run}",
     "${NOPE}/t", "http://a/${X:-1}"],
)  # fmt: skip
def test_addresses(mistakes, url):
    assert list(mistakes(f'[tools.t]\nurl = "{url}"\n')) == ["url"]


@pytest.mark.parametrize(
    ("lookup", "keys"),
    [
        ('{ url = "http://a/{effect_key}", found = "@" }', {"lookup.id"}),
        ('{ url = "http://a/{thread_id}", found = "@", id = "@" }', {"lookup.url"}),
        ('{ url = "http://a/{effect_key}", found = "[", id = "@", trys = 3 }', {"lookup.found", "lookup.trys"}),
        ('{ url = "http://a/{effect_key}", found = "@", id = "@", none_status = [200] }', {"lookup.none_status"}),
        ('{ url = "http://a/{effect_key}", found = "@", id = "@", tries = 0 }', {"lookup.tries"}),
        ('"http://a"', {"lookup"}),
    ],
)
def test_lookups(mistakes, lookup, keys):
    found = mistakes(f'[tools.t]\n{URL}repeat = "lookup"\nsettle_s = 1\nlookup = {lookup}\n')
    assert set(found) == keys
    assert {mistake.line for mistake in found.values()} == {5}


def test_a_lookup_needs_settle_s_and_a_contract_that_looks(mistakes):
    lookup = 'lookup = { url = "http://a/{effect_key}", found = "@", id = "@" }'
    assert set(mistakes(f'[tools.t]\n{URL}repeat = "lookup"\n{lookup}\n')) == {"settle_s"}
    assert set(mistakes(f"[tools.t]\n{URL}settle_s = 1\n{lookup}\n")) == {"lookup"}


def test_every_mistake_is_told_at_once(load):
    text = (
        "[tool.a]\n[tools.b]\nrepeat = 3\n[tools.'c d']\n" + URL + '[models.m]\nprovider = "chatt"\n[models]\nn = 1\n'
    )
    with pytest.raises(CatalogErrors) as caught:
        load(text.replace("[models]\nn = 1\n", ""))
    places = [(mistake.table, mistake.key) for mistake in caught.value.mistakes]
    assert sorted(places) == [
        ("", "tool"),
        ('models."m"', "base_url"),
        ('models."m"', "provider"),
        ("tools.b", "repeat"),
        ("tools.b", "url"),
        ("tools.c d", ""),
    ]
    assert len(str(caught.value).splitlines()) == 6


@pytest.mark.parametrize(("text", "line"), [("[tools.t]\nurl =\n", 2), ("a = 1\na = 2\n", 2)])
def test_what_is_no_toml(mistakes, text, line):
    assert mistakes(text)[""].line == line


@pytest.mark.parametrize("text", ["tools = 1\n", "[tools]\nt = 1\n", 'models = "x"\n'])
def test_what_is_no_table(mistakes, text):
    assert len(mistakes(text)) == 1


def test_every_key_is_in_the_docs():
    """A key is known to the reader exactly when the docs have a row for it."""
    docs = (OWN.parent / "docs" / "tools.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \|", docs, re.MULTILINE))
    sources = (OWN.parent / "app" / "catalog").glob("*.py")
    taken = set(
        re.findall(
            r'(?:take\w*|require|_expression)\((?:section, |below, )?"(\w+)"', "".join(p.read_text() for p in sources)
        )
    )
    assert taken == rows
