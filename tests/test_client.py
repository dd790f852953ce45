import socket
import sys
import threading

import numpy as np
import pytest

from tests import support
from tests.generators import make_generator
from tests.serving import Refused
from tfvqgen import client
from tfvqgen.client import Server
from tfvqgen.errors import UserError
from tfvqgen.generation.request import Cells

PROTOCOLS = pytest.mark.parametrize("protocol", ["grpc", "rest"])
INFO = make_generator(4, "uint16").model_info


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Replaces waiting by a list of the pauses; `then` is called after each."""

    class Pauses(list):
        then = staticmethod(lambda: None)

        def sleep(self, seconds):
            self.append(seconds)
            self.then()

    found = Pauses()
    monkeypatch.setattr(client.time, "sleep", found.sleep)
    return found


def connect(serving, protocol, **options):
    return Server(f"127.0.0.1:{serving.ports[protocol]}", protocol, **options)


def rows(count):
    """Returns different rows, with both ends of the range of seeds."""
    rng = np.random.default_rng(0)
    seeds = rng.integers(-(2**63), 2**63 - 1, count, endpoint=True)
    seeds[:2] = [2**63 - 1, -(2**63)][:count]
    return {
        "labels": rng.integers(0, 1, (count, 3), endpoint=True).astype(np.float32),
        "seeds": seeds,
        "temperature": rng.uniform(0.5, 1.5, count).astype(np.float32),
        "top_p": rng.uniform(0.5, 1, count).astype(np.float32),
        "guidance": np.linspace(0, 2, count, dtype=np.float32),
    }


def message_of(serving, protocol, **options):
    """Returns the error of a client that asks for one cell and must not get it."""
    with (
        connect(serving, protocol, **options) as server,
        pytest.raises(UserError) as error,
    ):
        server.generate(**rows(1))
    message = str(error.value)
    assert ": expected " in message and ". Received: " in message
    assert "\n" not in message and len(message) < 700
    return message


@PROTOCOLS
def test_cells_are_those_of_the_graph_in_several_requests(serving, protocol, capsys):
    asked = rows(10)
    with connect(serving, protocol, rows_per_request=4) as server:
        cells = server.generate(**asked)
        assert server.model_info == INFO
    inputs = {**asked, "seed": asked["seeds"]}
    inputs.pop("seeds")
    parts = [{k: x[i : i + 4] for k, x in inputs.items()} for i in (0, 4, 8)]
    made = [serving.model("generate_multilabel", part) for part in parts]
    for name in Cells._fields:
        expected = np.concatenate([x[name] for x in made])
        assert getattr(cells, name).dtype == expected.dtype
        np.testing.assert_array_equal(getattr(cells, name), expected)
    signature = "generate_multilabel" + "_raw" * (protocol == "rest")
    asked = [("about", 1), (signature, 4), (signature, 4), (signature, 2)]
    assert serving.requests == [(1, *each) for each in asked]
    assert "3/3" in capsys.readouterr().err


@PROTOCOLS
def test_a_wrong_row_is_not_sent(serving, protocol):
    asked = rows(5)
    asked["temperature"][3] = np.nan
    with (
        connect(serving, protocol) as server,
        pytest.raises(UserError, match=r"expected a finite .* temperature\[3\]=nan"),
    ):
        server.generate(**asked)
    assert [signature for _, signature, _ in serving.requests] == ["about"]
    assert "1 to 256" in message_of(serving, protocol, rows_per_request=257)


@PROTOCOLS
def test_a_version_is_chosen_by_number_or_label_and_kept(serving, protocol):
    serving.states[2] = "AVAILABLE"
    chosen = {None: 2, 1: 1, "1": 1, 2: 2, "stable": 1}
    for version in chosen:
        with connect(serving, protocol, version=version) as server:
            assert server.model_info
    assert [x[0] for x in serving.requests] == list(chosen.values())
    with connect(serving, protocol) as server:
        assert server.model_info
        serving.states[3] = "AVAILABLE"
        server.generate(**rows(1))
        assert serving.requests[-1][0] == 2
        serving.states[2] = "END"
        with pytest.raises(UserError, match=r"not found .* tfvqgen 2"):
            server.generate(**rows(1))


@PROTOCOLS
def test_a_busy_server_is_asked_again_after_growing_pauses(serving, protocol, pauses):
    failures = [3]

    def before(signature):
        if signature != "about" and failures[0]:
            failures[0] -= 1
            raise Refused("UNAVAILABLE", "the queue\nis full " + "x" * 5000)

    serving.before = before
    with connect(serving, protocol) as server:
        assert len(server.generate(**rows(1)).image) == 1
    for attempt, pause in enumerate(pauses):
        assert 0.125 * 2**attempt <= pause <= 0.25 * 2**attempt
    assert len(pauses) == 3
    failures[0] = 100
    message = message_of(serving, protocol, retries=2)
    assert message.startswith("cannot reach TensorFlow Serving")
    # message_of also checks that the message is one short line.
    assert "the queue is full" in message and len(pauses) == 5


@PROTOCOLS
def test_a_loading_model_is_waited_for(serving, protocol, pauses):
    serving.states[1] = "LOADING"
    message = message_of(serving, protocol, retries=1)
    assert "the server does not have this model or version, or is st" in message
    pauses.then = lambda: serving.states.update({1: "AVAILABLE"})
    with connect(serving, protocol) as server:
        assert server.model_info == INFO
    assert len(pauses) == 2


@PROTOCOLS
def test_a_missing_model_or_version_is_named(serving, protocol):
    message = message_of(serving, protocol, retries=1, version=7)
    assert message.startswith("the server does not have this model or version")
    assert "version 7)" in message
    message = message_of(serving, protocol, version="canary")
    assert "Unrecognized servable version label: canary" in message


@PROTOCOLS
def test_a_server_that_cannot_be_reached_is_named(serving, protocol, pauses):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        unused = listener.getsockname()[1]
    other = {"grpc": "rest", "rest": "grpc"}[protocol]
    # Nobody listens, or another protocol is spoken.
    for port in (unused, serving.ports[other]):
        with (
            Server(f"127.0.0.1:{port}", protocol, retries=1, timeout=20) as server,
            pytest.raises(UserError, match="cannot reach TensorFlow Serving") as error,
        ):
            _ = server.model_info
        assert f"127.0.0.1:{port}, model tfvqgen" in str(error.value)
        assert f"{client.PORTS[protocol]} by default" in str(error.value)
    assert len(pauses) == 2


@PROTOCOLS
def test_a_refusal_shows_the_sentence_of_the_model(serving, protocol, monkeypatch):
    def unchecked(info, labels, seeds, temperature, *rest):
        return {
            **real(info, labels, seeds, temperature, *rest),
            "temperature": np.zeros(1, np.float32),
        }

    real = client.check_rows
    monkeypatch.setattr(client, "check_rows", unchecked)
    message = message_of(serving, protocol)
    assert message.startswith("the request was refused: expected values that the model")
    assert "temperature is out of range: expected a finite number above 0. " in message
    assert "[[{{" not in message


@PROTOCOLS
def test_a_slow_server_is_a_timeout(serving, protocol):
    released = threading.Event()
    serving.before = lambda signature: released.wait(30) and None
    try:
        message = message_of(serving, protocol, timeout=0.2)
    finally:
        released.set()
    assert message.startswith("the request timed out: expected an answer in time")


def changed(name, change):
    """Returns a change of one output of a reply."""
    return lambda outputs: {
        key: change(x) if key == name else x for key, x in outputs.items()
    }


@PROTOCOLS
@pytest.mark.parametrize(
    ("after", "words"),
    [
        (changed("top_codes", lambda x: x[:, :1]), r"top_codes is \w+ \(1, 1, 2\)"),
        (changed("about_json", lambda x: np.array([b"{}"], object)), "is missing"),
        (lambda x: {k: v for k, v in x.items() if k != "top_codes"}, "top_codes"),
    ],
)
def test_a_reply_of_another_form_is_refused(serving, protocol, after, words):
    serving.after = after
    message = message_of(serving, protocol)
    assert message.startswith("the reply is wrong: expected TensorFlow Serving with")
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(message)


def test_raw_images_are_read_in_little_endian():
    codes = {"top_codes": np.zeros([1, 2, 2]), "bottom_codes": np.zeros([1, 4, 4])}
    outputs = {name: x.astype(np.int64) for name, x in codes.items()}
    image = support.random_image((1, 16, 16, 4), "uint16")
    raw = image.astype("<u2").tobytes()
    cells = client.read_cells(INFO, 1, {**outputs, "image_bytes": [raw]})
    np.testing.assert_array_equal(cells.image, image)
    assert cells.image.dtype == np.uint16
    with pytest.raises(ValueError):
        client.read_cells(INFO, 1, {**outputs, "image_bytes": [raw[:-2]]})


def test_an_address_gets_the_port_of_its_protocol():
    for address, protocol, expected in (
        ("[::1]", "grpc", "[::1]:8500"),
        ("host:1", "grpc", "host:1"),
        ("localhost", "rest", "http://localhost:8501"),
        ("https://host/models/", "rest", "https://host/models"),
    ):
        parsed = client._parse_address(address, protocol)
        found = parsed.netloc if protocol == "grpc" else parsed.geturl()
        assert found == expected
    wrong = (("http://host:1", "grpc"), ("host:port", "grpc"), ("ftp://host", "rest"))
    for address, protocol in (*wrong, ("", "grpc"), ("host:65536", "rest")):
        with pytest.raises(UserError, match=f"not an address for {protocol}"):
            Server(address, protocol)


def test_wrong_arguments_are_refused(monkeypatch):
    with pytest.raises(UserError, match="unknown protocol: expected grpc or rest"):
        Server("host", "http")
    with pytest.raises(UserError, match="timeout is out of range"):
        Server("host", timeout=0)
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    with pytest.raises(UserError, match=r"extra `serving`.*tfvqgen\[serving\]"):
        Server("127.0.0.1:8500")
