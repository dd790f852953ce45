"""What the transports make of addresses and replies, without a server."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.export.tiny_model import make_about
from tfvqgen.client.failure import Cause, Failure
from tfvqgen.client.grpc import cause_of, with_port
from tfvqgen.client.rest import RestTransport, parse_url, read_cells, read_reply
from tfvqgen.errors import UserError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "address, expected",
    [
        ("localhost", "localhost:8500"),
        ("localhost:1", "localhost:1"),
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("[::1]", "[::1]:8500"),
        ("[::1]:80", "[::1]:80"),
        ("tfvqgen.export.svc.cluster.local", "tfvqgen.export.svc.cluster.local:8500"),
    ],
)
def test_an_address_for_grpc_gets_its_port(address, expected):
    assert with_port(address) == expected


@pytest.mark.parametrize(
    "address, expected",
    [
        ("localhost", "http://localhost:8501"),
        ("localhost:1", "http://localhost:1"),
        ("[::1]:80", "http://[::1]:80"),
        ("http://host", "http://host:8501"),
        ("https://host", "https://host:443"),
        ("https://host:444/models/", "https://host:444/models"),
    ],
)
def test_an_address_for_rest_becomes_a_url(address, expected):
    assert parse_url(address).geturl() == expected


@settings(deadline=None)
@given(st.text(max_size=20) | st.from_regex(r"(http://)?[a-z:@/?#\[\] ]{0,9}"))
def test_any_text_is_an_address_or_refused_in_a_sentence(text):
    for read in (with_port, parse_url):
        try:
            assert read(text)
        except UserError as error:
            assert "expected host:port" in str(error)


def test_a_host_whose_name_cannot_be_one_is_not_there():
    with pytest.raises(Failure) as error:
        RestTransport("x" * 70 + ".example", "cells").states(1)
    assert error.value.cause is Cause.NOBODY


@settings(deadline=None)
@given(JSON, st.sampled_from([200, 201, 301, 400, 404, 429, 500, 503, 504]))
def test_any_reply_is_an_object_or_a_failure(value, status):
    try:
        found = read_reply(status, "application/json", json.dumps(value).encode())
    except Failure:
        return
    assert status == 200 and isinstance(found, dict)


@pytest.mark.parametrize("outputs", [("a",), ("a", "b")])
@settings(deadline=None)
@given(value=JSON | st.fixed_dictionaries({"predictions": JSON}))
def test_any_prediction_is_columns_or_a_failure(outputs, value):
    transport = RestTransport("localhost", "cells")
    transport._request = lambda *args: value
    try:
        found = transport.predict("generate", {"x": np.zeros(1)}, outputs, 1, 1.0)
    except Failure as failure:
        assert failure.cause is Cause.WRONG_REPLY
        return
    assert set(found) == set(outputs)
    with pytest.raises(Failure):
        read_cells(make_about(), 1, {"image": found["a"]})


@settings(deadline=None)
@given(JSON)
def test_any_description_is_one_or_a_failure(value):
    transport = RestTransport("localhost", "cells")
    transport._request = lambda *args: value
    for ask in (lambda: transport.served(None, 1.0), lambda: transport.states(1.0)):
        with pytest.raises(Failure) as error:
            ask()
        assert error.value.cause is Cause.STRANGER


def test_errors_that_json_cannot_read_are_shown_all_the_same():
    # As servers did that quoted in the manner of C.
    text = rb"""{ "error": "it\'s \303 missing" }"""
    with pytest.raises(Failure) as error:
        read_reply(400, "application/json", text)
    assert error.value.cause is Cause.REFUSED
    assert "missing" in error.value.detail


@pytest.mark.parametrize(
    "code, cause",
    [
        ("INVALID_ARGUMENT", Cause.REFUSED),
        ("FAILED_PRECONDITION", Cause.REFUSED),
        ("NOT_FOUND", Cause.NO_MODEL),
        ("DEADLINE_EXCEEDED", Cause.TIMEOUT),
        ("UNAVAILABLE", Cause.UNAVAILABLE),
        ("UNIMPLEMENTED", Cause.STRANGER),
        ("INTERNAL", Cause.OTHER),
        ("RESOURCE_EXHAUSTED", Cause.OTHER),
        ("CANCELLED", Cause.OTHER),
    ],
)
def test_a_code_of_grpc_has_its_cause(code, cause):
    assert cause_of(code, "words") is cause
