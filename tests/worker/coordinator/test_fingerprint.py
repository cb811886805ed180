"""Equal calls have equal fingerprints, others have not, and nothing that a model writes breaks it."""

import hashlib
import hmac
import json
import re

from hypothesis import given
from hypothesis import strategies as st

from worker.coordinator.fingerprint import effect_key, fingerprint

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_it_is_sha256_over_rfc_8785():
    expected = b'{"arguments":{"a":"\xc3\xa9","b":1},"tool":"t"}'
    assert fingerprint("t", {"b": 1.0, "a": "é"}) == hashlib.sha256(expected).hexdigest()
    assert fingerprint("t", {"b": 1, "a": "é"}, b"k") == hmac.new(b"k", expected, "sha256").hexdigest()


@given(JSON)
def test_text_and_value_give_the_same(value):
    if not isinstance(value, str):
        assert fingerprint("t", json.dumps(value)) == fingerprint("t", value)


@given(st.dictionaries(st.text(), JSON))
def test_order_and_spaces_do_not_matter(value):
    shuffled = dict(reversed(value.items()))
    assert fingerprint("t", json.dumps(shuffled, indent=3)) == fingerprint("t", value)


def test_numbers_beyond_2_53_stay_apart():
    numbers = [2**53 - 1, 2**53, 2**53 + 1, -(2**53), 10**30, 10**5000, str(2**53), 1e300]
    assert len({fingerprint("t", {"n": n}) for n in numbers}) == len(numbers)


def test_text_that_is_not_json_counts_as_it_stands():
    texts = [
        "",
        "{",
        '{"a": NaN}',
        "[" * 100_000,
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"a": "\\ud801"}',
        '{"\\ud800": 1}',
    ]
    assert len({fingerprint("t", text) for text in texts}) == len(texts)


def test_deep_json_survives():
    assert fingerprint("t", "[" * 800 + "]" * 800) != fingerprint("t", "[" * 801 + "]" * 801)


def test_tool_name_and_key_matter():
    assert (
        len({fingerprint("t", {}), fingerprint("u", {}), fingerprint("t", {}, b"k"), fingerprint("t", {}, b"l")}) == 4
    )


def test_effect_keys_are_stable_and_safe_in_headers():
    assert effect_key("run_1", 0, 0) == effect_key("run_1", 0, 0)
    keys = {effect_key(run, number, index) for run in ("run_1", "run_10") for number in range(3) for index in range(3)}
    assert len(keys) == 18
    assert all(re.fullmatch(r"[a-z0-9_]{1,64}", key) for key in keys)
