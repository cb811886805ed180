"""A lookup's answers, line by line of the design's section 3."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog import Lookup
from worker.gateway.lookup import Found, NoAnswer, NoneFound, read_lookup

LOOKUP = Lookup("http://127.0.0.1/tickets?ref={effect_key}", "tickets", "ticket_id")


def page(*ids, **more):
    return json.dumps({"tickets": [{"ticket_id": i} for i in ids], **more}).encode()


def test_what_is_found_comes_with_id_and_body():
    answer = read_lookup(200, page("a", 2), LOOKUP)
    assert answer == Found((("a", b'{"ticket_id":"a"}'), ("2", b'{"ticket_id":2}')))


def test_one_effect_listed_twice_is_one():
    assert len(read_lookup(200, page("a", "a"), LOOKUP).items) == 1


def test_an_empty_list_is_an_answer():
    assert read_lookup(200, page(), LOOKUP) == NoneFound()


@pytest.mark.parametrize("status", [202, 206, 301, 400, 401, 404, 429, 500, 503])
def test_only_2xx_answers(status):
    assert isinstance(read_lookup(status, page("a"), LOOKUP), NoAnswer)


def test_404_answers_where_the_catalog_says_so():
    lookup = Lookup(LOOKUP.url, "tickets", "ticket_id", none_status=(404,))
    assert read_lookup(404, b"gone", lookup) == NoneFound()
    assert isinstance(read_lookup(410, b"gone", lookup), NoAnswer)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"tickets": null}', b'{"tickets": {}}', b'{"tickets": [{}]}', b'{"tickets": [null]}',
     b'{"tickets": [', b"\xff", b"[" * 100_000, b'{"tickets": [{"ticket_id": ""}]}',
     b" " * (1024 * 1024) + b'{"tickets": []}'],
)  # fmt: skip
def test_what_is_no_list_of_effects_is_no_answer(body):
    assert isinstance(read_lookup(200, body, LOOKUP), NoAnswer)


@pytest.mark.parametrize(
    "more",
    [{"has_more": True}, {"hasMore": True}, {"next": "/tickets?page=2"}, {"next_page_token": "t"},
     {"@odata.nextLink": "x"},
     {"_links": {"next": {"href": "x"}}}, {"meta": {"pagination": {"next_cursor": "c"}}}, {"total": 2},
     {"total_count": 1e999},
     {"pageInfo": {"hasNextPage": True}}, {"truncated": True}],
)  # fmt: skip
def test_a_page_that_says_there_is_more_is_no_answer(more):
    assert isinstance(read_lookup(200, page("a", **more), LOOKUP), NoAnswer)
    assert isinstance(read_lookup(200, page(**more), LOOKUP), NoAnswer)


@pytest.mark.parametrize(
    "more", [{"has_more": False}, {"next": None}, {"next": ""}, {"_links": {"self": "x"}}, {"total": 1}, {"page": 1}]
)
def test_a_page_that_says_there_is_no_more_is_an_answer(more):
    assert isinstance(read_lookup(200, page("a", **more), LOOKUP), Found)


def test_a_link_header_says_that_there_is_more():
    assert isinstance(read_lookup(200, page(), LOOKUP, {"Link": '<x>; rel="prev", <y>; rel="next"'}), NoAnswer)
    assert read_lookup(200, page(), LOOKUP, {"Link": '<x>; rel="prev"'}) == NoneFound()


@given(
    body=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text() | st.sampled_from(["tickets", "next", "total"]), x),
    ).map(json.dumps)
)
def test_no_reply_raises(body):
    for found in ("tickets", "@", "[tickets][]", "sort(tickets)", "length(@)"):
        read_lookup(200, body.encode(), Lookup(LOOKUP.url, found, "@"))
