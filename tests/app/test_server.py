import base64
import socket
import threading
from http.client import HTTPConnection

import numpy as np
import pytest

from tests.app.fake_model import FakeModel, running, send
from tests.support import random_image
from tfvqgen.app.limits import (
    MOST_BODY_BYTES,
    MOST_UPLOAD_BYTES,
    MOST_WAITING,
    RateLimit,
)
from tfvqgen.data.images import decode_png, encode_png

DRAW = {
    "labels": ["Nucleoli"],
    "count": 2,
    "seed": 7,
    "temperature": 1,
    "top_p": 1,
    "guidance": 0,
}
REDRAW = {"x": 16, "y": 0, "width": 16, "height": 32}


def file(data, name="crop.png"):
    return {"name": name, "data": base64.b64encode(data).decode()}


@pytest.fixture(scope="module")
def page():
    with running(FakeModel(4), RateLimit(burst=10_000)) as server:
        yield server


@pytest.fixture(scope="module")
def crop(page):
    image = random_image((32, 32, 4))
    body = {"reduce": False, "files": [file(encode_png(image))]}
    status, _, answer = send(page, "POST", "/api/upload", body)
    assert status == 200
    return answer["cells"][0]["id"], image


def test_the_page_listens_on_loopback_only(page):
    assert page.socket.getsockname()[0] == "127.0.0.1"
    assert page.url.startswith("http://127.0.0.1:")
    others = {x[4][0] for x in socket.getaddrinfo(socket.gethostname(), None)}
    for address in others - {"127.0.0.1", "::1"}:
        with (
            pytest.raises(OSError),
            socket.create_connection((address, page.server_port), timeout=2),
        ):
            pass


def test_the_page_may_load_nothing_from_elsewhere(page):
    for path in ("/", "/style.css", "/ask.js", "/show.js", "/crop.js", "/page.js"):
        status, headers, data = send(page, "GET", path)
        assert status == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert b"http://" not in data and b"https://" not in data


def test_the_model_is_introduced_with_its_credit(page):
    _, _, answer = send(page, "GET", "/api/about")
    assert answer["id"] == page.studio.model_info.id
    assert answer["credit"] == "random <i>noise</i>"
    assert answer["labels"] == ["Nucleoli", "Golgi apparatus", "Rods & rings"]


def test_drawn_cells_are_the_models_for_labels_and_seeds(page):
    model = page.studio._model
    _, _, answer = send(page, "POST", "/api/draw", DRAW)
    signature, inputs = model.asked[-1]
    assert signature == "generate_multilabel"
    np.testing.assert_array_equal(inputs["labels"], [[1, 0, 0]] * 2)
    np.testing.assert_array_equal(inputs["seed"], [7, 8])
    assert [cell["seed"] for cell in answer["cells"]] == ["7", "8"]
    path = f"/cells/{answer['cells'][1]['id']}"
    _, headers, data = send(page, "GET", f"{path}/download")
    assert headers["Content-Disposition"].endswith('"00_nucleoli_seed8.png"')
    np.testing.assert_array_equal(decode_png(data), model.noise(8))
    _, _, data = send(page, "GET", f"{path}/2.png?gain=1,1,1,1")
    np.testing.assert_array_equal(decode_png(data)[..., 0], model.noise(8)[..., 2])
    ids = "&".join(f"id={cell['id']}" for cell in answer["cells"])
    status, headers, _ = send(page, "GET", f"/cells.zip?{ids}")
    assert (status, headers["Content-Type"]) == (200, "application/zip")


def test_everything_is_asked_once_to_be_ready():
    model = FakeModel()
    with running(model) as server:
        server.studio.warm_up()
    assert [signature for signature, _ in model.asked] == [
        "generate_multilabel",
        "reconstruct",
        "complete",
    ]


def test_no_label_is_unconditional_and_several_are_one_cells(page):
    for labels, row in (([], [0, 0, 0]), (["Nucleoli", "Rods & rings"], [1, 0, 1])):
        send(page, "POST", "/api/draw", {**DRAW, "labels": labels, "count": 1})
        np.testing.assert_array_equal(page.studio._model.asked[-1][1]["labels"], [row])


def test_a_crop_is_reconstructed(page, crop):
    key, image = crop
    _, _, answer = send(page, "POST", "/api/reconstruct", {"crop": key})
    (cell,) = answer["cells"]
    assert cell["text"]["Made"] == "reconstruction of a crop"
    assert "not a picture of a real cell" in cell["text"]["Description"]
    _, _, data = send(page, "GET", f"/cells/{cell['id']}/download")
    np.testing.assert_array_equal(decode_png(data), image)


@pytest.mark.parametrize(("labels", "class_id"), [([], -1), (["Rods & rings"], 2)])
def test_a_crop_is_completed_where_it_is_redrawn(page, crop, labels, class_id):
    key, image = crop
    body = {**DRAW, "labels": labels, "crop": key, "redraw": REDRAW}
    _, _, answer = send(page, "POST", "/api/complete", body)
    signature, inputs = page.studio._model.asked[-1]
    assert signature == "complete" and list(inputs["class_id"]) == [class_id] * 2
    _, _, data = send(page, "GET", f"/cells/{answer['cells'][0]['id']}/download")
    got = decode_png(data)
    np.testing.assert_array_equal(got[:, :16], image[:, :16])
    noise = page.studio._model.noise(7)
    np.testing.assert_array_equal(got[:, 16:], noise[:, 16:])
    assert "x=16 y=0 width=16 height=32" in answer["cells"][0]["text"]["Made"]


def test_a_crop_of_a_multiple_of_the_size_is_reduced_when_asked(page):
    files = [file(encode_png(random_image((64, 64, 4))))]
    status, _, answer = send(
        page, "POST", "/api/upload", {"reduce": False, "files": files}
    )
    assert (status, answer["factor"]) == (409, 2)
    status, _, _ = send(page, "POST", "/api/upload", {"reduce": True, "files": files})
    assert status == 200


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("draw", b"{", "expected JSON"),
        ("draw", b"[" * 100_000, "expected JSON"),
        ("draw", [], "expected an object"),
        ("draw", {}, "wrong labels: expected a list"),
        ("draw", {**DRAW, "labels": [3]}, "expected texts"),
        ("draw", {**DRAW, "labels": ["Golgi"]}, "did you mean 'Golgi apparatus'"),
        ("draw", {**DRAW, "count": 0}, "1 to 16"),
        ("draw", {**DRAW, "count": 17}, "1 to 16"),
        ("draw", {**DRAW, "count": True}, "a whole number"),
        ("draw", {**DRAW, "seed": -1}, "seed is out of range"),
        ("draw", {**DRAW, "seed": 2**63}, "seed is out of range"),
        ("draw", {**DRAW, "seed": 1.5}, "a whole number"),
        ("draw", {**DRAW, "temperature": 0}, "temperature is out of range"),
        ("draw", {**DRAW, "temperature": 1e-60}, "temperature is out of range"),
        ("draw", {**DRAW, "temperature": float("nan")}, "temperature is out of range"),
        ("draw", {**DRAW, "top_p": 1.01}, "top_p is out of range"),
        ("draw", {**DRAW, "guidance": -1}, "guidance is out of range"),
        ("draw", {**DRAW, "guidance": "1"}, "expected a number"),
        ("draw", {**DRAW, "guidance": 10**400}, "guidance is out of range"),
        ("upload", {"reduce": False, "files": []}, "no file"),
        ("upload", {"reduce": False, "files": [3]}, "wrong name"),
        (
            "upload",
            {"reduce": False, "files": [{"name": "a", "data": "é"}]},
            "expected base64",
        ),
        ("upload", {"reduce": False, "files": [file(b"GIF89a")]}, "a GIF"),
        ("reconstruct", {}, "wrong crop"),
        ("complete", {"crop": "x"}, "not kept any more"),
    ],
    ids=lambda x: str(x)[:50],
)
def test_what_is_wrong_is_said_in_words(page, path, body, words):
    asked = len(page.studio._model.asked)
    status, _, answer = send(page, "POST", f"/api/{path}", body)
    assert status in (400, 404)
    assert words in answer["error"]
    assert len(page.studio._model.asked) == asked


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"redraw": {**REDRAW, "width": 17}}, "within 32 x 32"),
        ({"redraw": {**REDRAW, "height": 0}}, "within 32 x 32"),
        ({"redraw": {**REDRAW, "x": -1}}, "within 32 x 32"),
        ({"redraw": {"x": 1}}, "wrong y"),
        ({"redraw": "left"}, "an object"),
        ({"labels": ["Nucleoli", "Rods & rings"]}, "one or none"),
    ],
    ids=str,
)
def test_a_wrong_completion_is_refused_in_words(page, crop, changes, words):
    body = {**DRAW, "crop": crop[0], "redraw": REDRAW, **changes}
    status, _, answer = send(page, "POST", "/api/complete", body)
    assert status == 400 and words in answer["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/../setup.cfg", 404),
        ("/cells/0/composite.png", 404),
        ("/cells/0/download", 404),
        ("/cells.zip", 400),
        ("/cells.zip?id=0", 404),
    ],
)
def test_what_is_not_there_is_said(page, path, status):
    got, _, answer = send(page, "GET", path)
    assert got == status and answer["error"]


def test_wrong_views_and_gains_are_refused(page, crop):
    for view in ("9.png", "alpha.png", "0.png?gain=1", "0.png?gain=a,b,c,inf"):
        status, _, answer = send(page, "GET", f"/cells/{crop[0]}/{view}")
        assert status in (400, 404) and "expected" in answer["error"]


def test_other_sites_may_not_ask(page):
    for headers, status in (
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:80"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        # What a page may send elsewhere without being asked first.
        ({"Content-Type": "text/plain"}, 415),
        ({"Host": "localhost:9000", "Origin": "http://localhost:9000"}, 200),
    ):
        got, _, _ = send(page, "POST", "/api/draw", DRAW, headers)
        assert got == status, headers
    assert send(page, "GET", "/", headers={"Host": "evil.example"})[0] == 403


def test_a_large_upload_is_refused_before_it_is_read(page):
    connection = HTTPConnection("127.0.0.1", page.server_port, timeout=20)
    connection.putrequest("POST", "/api/upload")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(MOST_BODY_BYTES + 1))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert b"bytes at most" in response.read()
    assert response.getheader("Connection") == "close"
    connection.close()


def test_files_together_larger_than_the_limit_are_refused(page):
    data = base64.b64encode(bytes(MOST_UPLOAD_BYTES + 1)).decode()
    body = {"reduce": False, "files": [{"name": "a", "data": data}]}
    status, _, answer = send(page, "POST", "/api/upload", body)
    assert status == 400 and "at most" in answer["error"]


def test_requests_that_come_too_fast_are_refused_with_a_time():
    with running(FakeModel(), RateLimit(burst=3, per_second=0.1)) as server:
        answers = [send(server, "POST", "/api/draw", DRAW) for _ in range(5)]
        assert [status for status, _, _ in answers] == [200] * 3 + [429] * 2
        _, headers, answer = answers[-1]
        assert int(headers["Retry-After"]) == 10
        assert "too fast" in answer["error"]
        assert send(server, "GET", "/")[0] == 200


def test_one_request_at_a_time_reaches_the_model_and_few_wait():
    model, leave = FakeModel(), threading.Event()
    answer, within, most = model.ask, [0], [0]

    def ask(*args, **inputs):
        within[0] += 1
        most[0] = max(most[0], within[0])
        assert leave.wait(20)
        within[0] -= 1
        return answer(*args, **inputs)

    model.ask = ask
    found = []
    with running(model) as server:

        def one():
            status = send(server, "POST", "/api/draw", DRAW)[0]
            found.append(status)
            if status == 503:
                leave.set()

        threads = [threading.Thread(target=one) for _ in range(MOST_WAITING + 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == [200] * (MOST_WAITING + 1) + [503]
    assert most == [1]


def test_a_failing_model_does_not_end_the_page(capfd):
    model = FakeModel()
    answer = model.ask

    def fail(*args, **inputs):
        raise MemoryError("no room for 16 cells")

    with running(model) as server:
        model.ask = fail
        status, _, found = send(server, "POST", "/api/draw", DRAW)
        assert status == 500 and "no room for 16 cells" in found["error"]
        model.ask = answer
        assert send(server, "POST", "/api/draw", DRAW)[0] == 200
    assert "MemoryError" in capfd.readouterr().err


def test_a_client_that_goes_away_is_no_news(page, capfd):
    with socket.create_connection(("127.0.0.1", page.server_port)) as client:
        client.sendall(b"POST /api/draw HTTP/1.1\r\nHost: localhost\r\n")
    with socket.create_connection(("127.0.0.1", page.server_port)) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert b"400" in client.makefile("rb").read()
    assert send(page, "GET", "/api/about")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("host", ["[", "[::1", "a]b", "127.0.0.1.evil.com", "", "[::]"])
def test_a_strange_host_is_refused(page, host, capfd):
    status, _, answer = send(page, "GET", "/", headers={"Host": host})
    assert status == 403 and "another host" in answer["error"]
    assert capfd.readouterr().err == ""


def test_half_letters_are_refused_in_words(page):
    files = [file(b"x", name) for name in ("\ud800", "\udfff", "a", "b")]
    body = {"reduce": False, "files": files}
    status, _, answer = send(page, "POST", "/api/upload", body)
    assert status == 400 and "which file is which channel" in answer["error"]


@pytest.mark.parametrize("length", ["9" * 30, "9" * 5000, str(MOST_BODY_BYTES + 1)])
def test_any_length_beyond_the_limit_is_too_large(page, length, capfd):
    headers = {"Content-Length": length}
    status, _, answer = send(page, "POST", "/api/draw", b"{}", headers)
    assert status == 413 and "bytes at most" in answer["error"]
    assert capfd.readouterr().err == ""
