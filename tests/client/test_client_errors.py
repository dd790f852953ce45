""""""

import re
import socket
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest

from tests.client.loopback import free_port, grpc_server, rest_server, socket_server
from tests.client.served_model import Refused, ServedModel, unavailable
from tests.export import tiny_model
from tfvqgen.client import transport
from tfvqgen.client.server import Server
from tfvqgen.errors import UserError

SERVERS = {"grpc": grpc_server, "rest": rest_server}
PROTOCOLS = pytest.mark.parametrize("protocol", SERVERS)
WANTED = {
    "grpc": "TensorFlow Serving's gRPC, as a rule at port 8500",
    "rest": "TensorFlow Serving's REST, as a rule at port 8501",
}
ROW = [[0, 1, 0]], [7]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(transport, "_FIRST_PAUSE", 0.01)


def refusal(port, protocol, **options):
    """Returns what a client says that asks for a cell and must not get one."""
    with (
        Server(f"127.0.0.1:{port}", protocol, **options) as server,
        pytest.raises(UserError) as error,
    ):
        server.generate(*ROW)
    message = str(error.value)
    assert re.fullmatch(r"[^:]+: expected .*\. Received: .*", message)
    assert "\n" not in message and len(message) < 600
    return message


@PROTOCOLS
def test_a_server_that_is_not_there_is_named(protocol):
    port = free_port()
    message = refusal(port, protocol, retries=1)
    assert message.startswith(f"no server answers: expected {WANTED[protocol]}")
    assert f"{port}" in message and "refused" in message


@PROTOCOLS
@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70 + ".invalid"])
def test_a_host_that_does_not_exist_is_named(protocol, host):
    with pytest.raises(UserError, match=rf"no server answers.*{host}"):
        _ = Server(host, protocol, retries=0, timeout=10).model_info


@PROTOCOLS
def test_a_server_that_comes_up_late_is_waited_for(exported, protocol):
    port, enough = free_port(), threading.Event()

    def run():
        time.sleep(0.3)
        with SERVERS[protocol](model, port):
            enough.wait(30)

    model = ServedModel(exported())
    thread = threading.Thread(target=run)
    thread.start()
    try:
        with Server(f"127.0.0.1:{port}", protocol, retries=12) as server:
            assert len(server.generate(*ROW).image) == 1
    finally:
        enough.set()
        thread.join()


@PROTOCOLS
def test_a_model_that_stays_loading_is_said_so(exported, protocol):
    model = ServedModel(exported())
    model.states[3] = "LOADING"
    with SERVERS[protocol](model) as port:
        message = refusal(port, protocol, retries=2)
    assert message.startswith("the model is still loading: expected it to be AVAILABLE")
    assert "Received: version 3 LOADING" in message


@PROTOCOLS
def test_a_model_that_failed_to_load_is_said_so(exported, protocol):
    model = ServedModel(exported())
    model.states[3] = "END"
    with SERVERS[protocol](model) as port:
        message = refusal(port, protocol)
    assert message.startswith("the server could not load the model")


@PROTOCOLS
def test_an_unknown_model_is_named(exported, protocol):
    with SERVERS[protocol](exported()) as port:
        message = refusal(port, protocol, model="cells")
    assert message.startswith("the server has no such model: expected the name of one")
    assert "model cells" in message


@PROTOCOLS
@pytest.mark.parametrize("version", [7, "canary"])
def test_an_unknown_version_is_named(exported, protocol, version):
    with SERVERS[protocol](exported()) as port:
        message = refusal(port, protocol, version=version)
    assert message.startswith("the server has no such version")
    assert f"version {version})" in message
    assert "canary" in message or "version 3 AVAILABLE" in message


@PROTOCOLS
@pytest.mark.parametrize("signature", ["about", "generate_multilabel"])
def test_a_model_without_our_signatures_is_not_ours(exported, protocol, signature):
    without = (signature, "generate_multilabel_raw")
    with SERVERS[protocol](exported(without=without)) as port:
        message = refusal(port, protocol)
    assert message.startswith("not a model of tfvqgen: expected one that export.py")
    assert f"no signature {signature}" in message


@PROTOCOLS
@pytest.mark.parametrize("text", [b"{}", b"not JSON", b"[1]", b'"\\u00b5"'])
def test_a_model_that_says_something_else_of_itself_is_not_ours(
    exported, protocol, text
):
    def after(outputs):
        return {name: np.array([text], object) for name in outputs}

    with SERVERS[protocol](ServedModel(exported(), after=after)) as port:
        message = refusal(port, protocol)
    assert message.startswith("not a model of tfvqgen")


def test_a_description_of_another_name_is_not_ours(exported):
    def after(outputs):
        return {f"other_{name}": value for name, value in outputs.items()}

    with grpc_server(ServedModel(exported(), after=after)) as port:
        message = refusal(port, "grpc")
    assert message.startswith("not a model of tfvqgen")


@PROTOCOLS
def test_a_refusal_has_the_servers_own_sentence(exported, protocol, monkeypatch):
    # As if the server knew a rule that the client does not.
    monkeypatch.setattr("tfvqgen.client.rows._check", lambda *args: None)
    with (
        SERVERS[protocol](exported()) as port,
        Server(f"127.0.0.1:{port}", protocol) as server,
        pytest.raises(UserError) as error,
    ):
        server.generate(*ROW, temperature=-1)
    message = str(error.value)
    assert message.startswith("the server refused the request: expected values that")
    assert "temperature is out of range: expected above 0. Received:" in message
    assert "[[{{" not in message and "\n" not in message


@PROTOCOLS
def test_a_server_that_takes_too_long_is_not_waited_for(exported, protocol):
    enough = threading.Event()

    def before(signature):
        if signature != "about":
            enough.wait(30)

    model = ServedModel(exported(), before=before)
    with (
        SERVERS[protocol](model) as port,
        Server(f"127.0.0.1:{port}", protocol, timeout=0.3) as server,
    ):
        started = time.monotonic()
        with pytest.raises(UserError, match="took too long: expected an answer"):
            server.generate(*ROW)
        assert time.monotonic() - started < 20
        enough.set()


@PROTOCOLS
def test_a_server_that_says_nothing_is_not_waited_for(protocol):
    enough = threading.Event()

    def wait(connection, number):
        del number
        connection.recv(10**6)
        enough.wait(30)

    with socket_server(wait) as port:
        message = refusal(port, protocol, timeout=0.3, retries=0)
        enough.set()
    assert "took too long" in message


@PROTOCOLS
def test_a_server_that_stays_busy_is_given_up(exported, protocol):
    model = ServedModel(exported(), before=unavailable(100))
    with SERVERS[protocol](model) as port:
        message = refusal(port, protocol, retries=2)
    assert message.startswith("the server is not available: expected it to answer")
    assert "the queue is full" in message


@PROTOCOLS
@pytest.mark.parametrize("code", ["INTERNAL", "UNAVAILABLE"])
def test_no_failure_of_a_server_is_a_traceback(exported, protocol, code):
    def before(signature):
        raise Refused(code, "out of\nmemory " + "x" * 5000)

    with SERVERS[protocol](ServedModel(exported(), before=before)) as port:
        message = refusal(port, protocol, retries=0)
    assert "out of memory xxx" in message


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>hello</html>",
        b"HTTP/1.0 404 Not Found\r\nContent-Type: text/html\r\n\r\n<html>what</html>",
        b'HTTP/1.0 404 No\r\nContent-Type: application/json\r\n\r\n{"detail": 1}',
        b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n[1]",
        b"HTTP/1.0 302 Found\r\nLocation: http://elsewhere\r\n\r\n",
        b"\x00\x01\x02garbage\xff\n" * 20,
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)
@PROTOCOLS
def test_something_else_that_answers_is_told_apart(protocol, answer):
    def send(connection, number):
        del number
        connection.recv(10**6)
        connection.sendall(answer)
        # What is unread when a socket closes resets the connection.
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(1)
        connection.recv(10**6)

    with socket_server(send) as port:
        message = refusal(port, protocol, retries=1)
    assert message.startswith("something else answers: expected TensorFlow")


def test_the_port_of_the_other_protocol_is_told_apart(exported):
    for protocol, other in (("grpc", "rest"), ("rest", "grpc")):
        with SERVERS[other](exported()) as port:
            message = refusal(port, protocol, retries=0)
        assert message.startswith(
            f"something else answers: expected {WANTED[protocol]}"
        )


def test_a_grpc_server_of_other_services_is_told_apart():
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert refusal(port, "grpc").startswith("something else answers: expected")
    finally:
        server.stop(None)


def test_a_gateway_before_a_starting_server_is_waited_for():
    answer = b"HTTP/1.0 503 Unavailable\r\nContent-Type: text/html\r\n\r\n<html></html>"
    asked = []

    def send(connection, number):
        asked.append(number)
        connection.recv(10**6)
        connection.sendall(answer)

    with socket_server(send) as port:
        message = refusal(port, "rest", retries=3)
    assert message.startswith("the server is not available")
    assert len(asked) == 4


def test_a_reply_that_is_cut_is_asked_for_again():
    asked = []

    def send(connection, number):
        asked.append(number)
        connection.recv(10**6)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    with socket_server(send) as port:
        message = refusal(port, "rest", retries=2)
    assert "the connection was cut within the reply" in message
    assert len(asked) == 3


def test_a_reply_that_trickles_is_not_waited_for_longer_than_said():
    def send(connection, number):
        del number
        connection.recv(10**6)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(30):
            connection.sendall(b" ")
            time.sleep(0.1)

    started = time.monotonic()
    with socket_server(send) as port:
        assert "took too long" in refusal(port, "rest", timeout=0.4)
        assert time.monotonic() - started < 2


@PROTOCOLS
@pytest.mark.parametrize(
    "name, change, words",
    [
        ("image", lambda x: x[:, :3], r"image \w+ \(1, 3, 6, 3\) instead of uint8"),
        ("image", lambda x: np.repeat(x, 2, 0), r"image \w+ \(2, 4, 6, 3\) instead"),
        ("image", lambda x: x / np.float32(255), r"image float\d+ \(1, 4, 6, 3\)"),
        ("image", lambda x: x.astype(np.int64) + 300, r"image from \d+ to \d+ instead"),
        (
            "top_codes",
            lambda x: x + 32,
            r"top_codes from \d+ to \d+ instead of 0 to 31",
        ),
        ("bottom_codes", lambda x: x - 99, r"bottom_codes from -\d+ to -?\d+ instead"),
        ("bottom_codes", None, r"bottom_codes"),
    ],
)
def test_a_reply_of_another_form_is_refused(exported, protocol, name, change, words):
    def after(outputs):
        if name not in outputs:
            return outputs
        rest = {key: value for key, value in outputs.items() if key != name}
        if change is None:
            return rest
        value = change(outputs[name])
        # All outputs have as many rows, or it would not be a reply of the server.
        return {
            **{
                key: np.resize(x, (len(value), *x.shape[1:])) for key, x in rest.items()
            },
            name: value,
        }

    without = ("generate_multilabel_raw",)
    with SERVERS[protocol](ServedModel(exported(without=without), after=after)) as port:
        message = refusal(port, protocol)
    assert re.search(words, message)


@pytest.mark.parametrize("value", [b"", b"x" * 71, b"x" * 73])
def test_raw_images_of_another_size_are_refused(exported, value):
    def after(outputs):
        if "image_bytes" in outputs:
            outputs["image_bytes"] = np.array([value], object)
        return outputs

    with rest_server(ServedModel(exported(), after=after)) as port:
        message = refusal(port, "rest")
    assert f"image_bytes of {len(value)} instead of 72" in message


@pytest.mark.parametrize(
    "options, words",
    [
        ({"protocol": "http"}, "unknown protocol: expected grpc or rest"),
        ({"timeout": 0}, "timeout is out of range"),
        ({"timeout": float("nan")}, "timeout is out of range"),
        ({"deadline": -1}, "deadline is out of range"),
        ({"retries": -1}, "retries is out of range"),
        ({"address": "http://host:8500"}, "not an address for gRPC"),
        ({"address": "host:port"}, "not an address for gRPC"),
        ({"address": "host:65536"}, "not an address for gRPC"),
        ({"address": "host:65536", "protocol": "rest"}, "not an address for REST"),
        ({"address": "::1"}, "not an address for gRPC"),
        ({"address": ""}, "not an address for gRPC"),
        ({"address": "ftp://host", "protocol": "rest"}, "not an address for REST"),
        ({"address": "host:port", "protocol": "rest"}, "not an address for REST"),
        ({"address": "", "protocol": "rest"}, "not an address for REST"),
        ({"address": "http://[::1", "protocol": "rest"}, "not an address for REST"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_asked(options, words):
    with pytest.raises(UserError, match=words):
        Server(**{"address": "127.0.0.1", **options})


@PROTOCOLS
def test_more_rows_than_a_model_takes_are_not_sent(exported, protocol):
    most = tiny_model.make_about().max_rows
    with SERVERS[protocol](exported()) as port:
        message = refusal(port, protocol, rows_per_request=most + 1)
    assert f"expected 1 to {most}" in message
