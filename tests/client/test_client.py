""""""

import contextlib
import subprocess
import sys

import numpy as np
import pytest

from tests import support
from tests.client import served_model
from tests.client.loopback import cutting_proxy, grpc_server, rest_server
from tests.client.served_model import ServedModel
from tests.export import tiny_model
from tfvqgen.client.server import Server
from tfvqgen.errors import UserError
from tfvqgen.generation.source import Cells

SERVERS = {"grpc": grpc_server, "rest": rest_server}
PROTOCOLS = pytest.mark.parametrize("protocol", SERVERS)


@contextlib.contextmanager
def serving(model, protocol, **options):
    """Serves a model and yields its client."""
    with (
        SERVERS[protocol](model) as port,
        Server(f"127.0.0.1:{port}", protocol, **options) as server,
    ):
        yield server


def rows(count, seed=0):
    """Returns different rows, among them the ends of each range."""
    rng = np.random.default_rng(seed)
    seeds = rng.integers(-(2**63), 2**63 - 1, count, endpoint=True)
    seeds[:2] = [2**63 - 1, -(2**63)][:count]
    return (
        rng.integers(0, 1, (count, 3), endpoint=True).astype(np.float32),
        seeds,
        rng.uniform(0.1, 3, count).astype(np.float32),
        rng.uniform(0.1, 1, count).astype(np.float32),
        np.linspace(0, 4, count, dtype=np.float32),
    )


def assert_same(cells, about, asked):
    expected = tiny_model.expected_cells(about, *asked)
    for name in Cells._fields:
        value, wanted = getattr(cells, name), getattr(expected, name)
        assert value.dtype == wanted.dtype
        np.testing.assert_array_equal(value, wanted, name)


@PROTOCOLS
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("without", [(), ("generate_multilabel_raw",)])
def test_cells_come_over_the_wire_exactly(exported, protocol, dtype, without):
    about = tiny_model.make_about(dtype)
    asked = rows(10)
    with serving(exported(dtype, without), protocol) as server:
        assert server.model_info == about
        assert server.model_info.id == about.id
        if (protocol, dtype, bool(without)) == ("rest", "uint16", True):
            with pytest.raises(UserError, match="REST can't carry images of uint16"):
                server.generate(*asked)
        else:
            assert_same(server.generate(*asked), about, asked)


def test_every_value_of_16_bits_comes_exactly(tmp_path):
    about = tiny_model.make_about(
        "uint16", image_shape=(256, 256, 1), channels=("green",), display=GREEN
    )
    tiny_model.export(tmp_path, 1, about)
    asked = rows(1)
    for protocol in SERVERS:
        with serving(tmp_path, protocol) as server:
            cells = server.generate(*asked)
        assert len(np.unique(cells.image)) == 2**16
        assert_same(cells, about, asked)


GREEN = {"red": None, "green": "green", "blue": None}


@PROTOCOLS
def test_many_rows_are_several_requests_in_order(exported, protocol, capsys):
    model = ServedModel(exported())
    asked = rows(37)
    with serving(model, protocol) as server:
        cells = server.generate(*asked)
    assert_same(cells, tiny_model.make_about(), asked)
    assert [size for _, size in model.calls] == [1, 16, 16, 5]
    bar = capsys.readouterr().err
    assert "37/37" in bar and "cell/s" in bar


@PROTOCOLS
def test_few_rows_are_one_request_without_a_bar(exported, protocol, capsys):
    with serving(exported(), protocol) as server:
        server.generate(*rows(16))
    assert capsys.readouterr().err == ""


@PROTOCOLS
def test_what_a_model_says_of_itself_is_asked_for_once(exported, protocol):
    model = ServedModel(exported())
    with serving(model, protocol) as server:
        server.generate(*rows(1))
        server.generate(*rows(2))
    assert [name for name, _ in model.calls].count("about") == 1


@PROTOCOLS
def test_no_rows_give_no_cells(exported, protocol):
    with serving(exported("uint16"), protocol) as server:
        cells = server.generate(np.zeros((0, 3)), [])
    assert cells.image.shape == (0, 4, 6, 3)
    assert cells.image.dtype == np.uint16
    assert cells.bottom_codes.shape == (0, 2, 4)


@PROTOCOLS
def test_one_number_holds_for_all_rows(exported, protocol):
    labels, seeds, *_ = rows(3)
    with serving(exported(), protocol) as server:
        cells = server.generate(labels, seeds, temperature=0.7)
    asked = labels, seeds, np.full(3, 0.7), np.ones(3), np.zeros(3)
    assert_same(cells, tiny_model.make_about(), asked)


@PROTOCOLS
def test_a_bad_row_is_not_sent(exported, protocol):
    model = ServedModel(exported())
    labels, seeds, temperature, top_p, guidance = rows(20)
    temperature[17] = np.nan
    words = r"temperature is out of range: .* Received: temperature\[17\]=nan"
    with serving(model, protocol) as server, pytest.raises(UserError, match=words):
        server.generate(labels, seeds, temperature, top_p, guidance)
    assert [name for name, _ in model.calls] == ["about"]


@PROTOCOLS
def test_a_version_that_is_loaded_in_between_does_not_mix_in(tmp_path, protocol):
    old = tiny_model.make_about()
    tiny_model.export(tmp_path, 3, old)
    model = ServedModel(tmp_path)
    asked = rows(4)
    with serving(model, protocol) as server:
        assert server.model_info == old
        tiny_model.export(tmp_path, 4, tiny_model.make_about("uint16"))
        model.load()
        for state in ("LOADING", "AVAILABLE"):
            model.states[4] = state
            words = rf"no such version: .*version 4 {state}, version 3 END"
            with pytest.raises(UserError, match=words):
                server.generate(*asked)
    with serving(model, protocol) as server:
        assert server.model_info.dtype == "uint16"


@PROTOCOLS
def test_versions_are_chosen_by_number_and_by_label(tmp_path, protocol):
    for version, dtype in ((3, "uint8"), (4, "uint16")):
        tiny_model.export(tmp_path, version, tiny_model.make_about(dtype))
    model = ServedModel(tmp_path, labels={"stable": 3})
    found = {}
    for version in (None, 3, "3", 4, "stable"):
        with serving(model, protocol, version=version) as server:
            found[version] = server.model_info.dtype
            server.generate(*rows(1))
    assert found == {
        None: "uint16",
        3: "uint8",
        "3": "uint8",
        4: "uint16",
        "stable": "uint8",
    }


@PROTOCOLS
def test_a_server_that_is_busy_for_a_while_is_asked_again(exported, protocol):
    model = ServedModel(exported(), before=served_model.unavailable(2))
    asked = rows(1)
    with serving(model, protocol) as server:
        assert_same(server.generate(*asked), tiny_model.make_about(), asked)


@PROTOCOLS
@pytest.mark.parametrize("after", [1, 5, 12, 100, 300])
def test_connections_that_are_cut_are_made_again(exported, protocol, after):
    asked = rows(3)
    with (
        SERVERS[protocol](exported()) as port,
        cutting_proxy(port, 3, after) as proxy,
        Server(f"127.0.0.1:{proxy}", protocol) as server,
    ):
        cells = server.generate(*asked)
    assert_same(cells, tiny_model.make_about(), asked)


@PROTOCOLS
def test_a_model_that_is_loading_is_waited_for(exported, protocol):
    model = ServedModel(exported())
    asked_after = []

    def find(*args):
        if not asked_after:
            asked_after.append(model.states[3])
            model.states[3] = "AVAILABLE"
            raise served_model.Refused("NOT_FOUND", "Servable not found for request")
        return ServedModel.find(model, *args)

    model.states[3] = "LOADING"
    model.find = find
    states = model.status
    # What the server says when it is asked why is still the state of before.
    model.status = lambda *args: [(3, asked_after[0])] if asked_after else states(*args)
    with serving(model, protocol) as server:
        assert server.model_info == tiny_model.make_about()
    assert asked_after == ["LOADING"]


def test_rest_needs_no_tensorflow(exported):
    program = (
        "import sys\n"
        "from tfvqgen.client.server import Server\n"
        "server = Server(sys.argv[1], 'rest')\n"
        "cells = server.generate([[0, 1, 0]], [7])\n"
        "print(cells.image.shape, 'tensorflow' in sys.modules, 'grpc' in sys.modules)"
    )
    with rest_server(exported()) as port:
        run = subprocess.run(
            [sys.executable, "-c", program, f"127.0.0.1:{port}"],
            capture_output=True,
            text=True,
            env=support.environment(),
            cwd=support.ROOT,
        )
    assert run.stdout.strip() == "(1, 4, 6, 3) False False", run.stderr


def test_a_missing_package_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(UserError, match=r"extra `serving`.*tfvqgen\[serving\]"):
        Server("127.0.0.1:8500")
