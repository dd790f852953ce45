"""What a workdir and an export say of themselves, and what is sent to the page."""

import base64
import contextlib
import json
import random
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.fuzzing.folders import FuzzedFolder
from benchmarks.faults.fuzzing.judging import Inputs
from benchmarks.faults.fuzzing.mutation import mutated_bytes, mutated_text
from benchmarks.faults.fuzzing.pictures import mutated_png
from benchmarks.faults.fuzzing.structures import mutated_value
from tfvqgen.errors import DataError, UserError


def _config_json(folder: Path) -> Inputs:
    from tfvqgen.config import Config
    from tfvqgen.files import write_json
    from tfvqgen.training.workdir import Workdir

    path = folder / "workdir"
    path.mkdir()
    config = {"config": Config().to_json(), "dataset_fingerprint": "0" * 64}
    write_json(path / "config.json", config)
    return FuzzedFolder(path, lambda folder: Workdir(folder).load_config())


def _metrics(folder: Path) -> Inputs:
    """``metrics.jsonl``, read to go on and for the report's curves."""
    from tfvqgen.evaluation.report.curves import learning_curves
    from tfvqgen.training.workdir import Workdir

    for stage in ("vqvae", "top", "bottom"):
        path = folder / stage / "metrics.jsonl"
        path.parent.mkdir()
        lines = [_figures(step, split) for step in (10, 20, 30) for split in _SPLITS]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return FuzzedFolder(folder, lambda folder: learning_curves(Workdir(folder)))


_SPLITS = ("train", "validation")


def _figures(step: int, split: str) -> dict:
    names = ("loss", "psnr", "reconstruction_mse", "top_only_mse", "bottom_only_mse")
    names += ("mean_image_mse", "top_codebook_perplexity", "bits_per_code")
    names += ("bottom_codebook_perplexity", "unigram_bits_per_code")
    return {"step": step, "split": split, **dict.fromkeys(names, 1 / step)}


def _about(folder: Path) -> Inputs:
    """``about.json`` of an export."""
    from tests.app.fake_model import FakeModel
    from tfvqgen.app.studio import Studio
    from tfvqgen.files import read_json, write_json
    from tfvqgen.generation.model_info import ModelInfo
    from tfvqgen.generation.saved_model import ABOUT, version_folder

    path = folder / "export" / "1"
    (path / "assets").mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"")
    model = FakeModel(4)
    write_json(path / ABOUT, model.model_info.to_json())

    def read(folder: Path) -> None:
        model.model_info = ModelInfo.from_json(
            read_json(version_folder(folder) / ABOUT)
        )
        studio = Studio(model)
        json.dumps(studio.introduce())
        side = max(*model.model_info.image_shape, len(model.model_info.labels))
        if side < 1000 and model.model_info.labels:
            labels = [model.model_info.labels[0]]
            studio.draw({**_DRAW, "labels": labels})

    return FuzzedFolder(folder / "export", read, (f"1/{ABOUT}",))


_DRAW = {
    "labels": ["Nucleoli"],
    "count": 1,
    "seed": 7,
    "temperature": 1,
    "top_p": 1,
    "guidance": 0,
}


class _Questions:
    """JSON that is posted to the page, as its actions take it."""

    def __init__(self, folder: Path):
        from tests.app.fake_model import FakeModel
        from tfvqgen.app.studio import Studio
        from tfvqgen.data.images import encode_png

        del folder
        self._model = FakeModel(3)
        self._studio = Studio(self._model)
        image = self._model.noise(0)
        self._png = encode_png(image)
        upload = {"reduce": True, "files": [_file("crop.png", self._png)]}
        cell = self._studio.upload(upload)["cells"][0]["id"]
        redraw = {"x": 8, "y": 8, "width": 8, "height": 8}
        self._bodies = {
            "draw": _DRAW,
            "upload": upload,
            "reconstruct": {"id": cell, "crop": cell, "cell": cell},
            "complete": {**_DRAW, "cell": cell, "crop": cell, "redraw": redraw},
        }
        for name in ("reconstruct", "complete"):
            with contextlib.suppress(UserError):
                getattr(self._studio, name)(self._bodies[name])

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Changes a question, or the crop in it."""
        name = rng.choice(list(self._bodies))
        body = mutated_value(self._bodies[name], rng)
        if not isinstance(body, dict):
            # The server lets only objects through.
            body = {"files": body, "redraw": body}
        if name == "upload" and rng.random() < 0.7:
            png = mutated_png(self._png, rng)
            names = ("red.png", "green.png", "blue.png", "../x.png", "\ud800")
            count = rng.choice((1, 1, 1, 3))
            files = [_file(rng.choice(names), png) for _ in range(count)]
            body = {"reduce": True, "files": files}

        def read() -> None:
            try:
                answer = getattr(self._studio, name)(body)
            except UserError as error:
                # The server's answer.
                json.dumps({"error": str(error)}).encode()
                raise
            json.dumps(answer, allow_nan=False)
            if len(self._studio.cells._cells) > 50:
                kept = self._studio.cells
                kept._cells = type(kept._cells)(list(kept._cells.items())[:1])
                kept._bytes = sum(x.image.nbytes for x in kept._cells.values())

        return read


def _file(name: str, data: bytes) -> dict:
    return {"name": name, "data": base64.b64encode(data).decode()}


class _Requests:
    """Bytes that come over the page's socket."""

    def __init__(self, folder: Path):
        from tests.app.fake_model import FakeModel
        from tfvqgen.app.limits import RateLimit
        from tfvqgen.app.server import PageServer
        from tfvqgen.app.studio import Studio

        del folder
        self._server = PageServer(Studio(FakeModel(3)), 0, RateLimit(10**9, 1e9))
        self._faults: list[str] = []
        self._server.handle_error = self._note
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        host = f"Host: 127.0.0.1:{self._server.server_port}\r\n"
        body = json.dumps(_DRAW)
        self._whole = [
            f"GET / HTTP/1.1\r\n{host}\r\n",
            f"GET /cells.zip?id=a&id=b HTTP/1.1\r\n{host}\r\n",
            f"GET /cells/0a/composite.png?gain=1,2,3 HTTP/1.1\r\n{host}\r\n",
            f"GET /cells/0a/download HTTP/1.1\r\n{host}\r\n",
            f"GET /api/about HTTP/1.0\r\n{host}Origin: http://evil\r\n\r\n",
            f"POST /api/draw HTTP/1.1\r\n{host}Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}",
        ]

    def _note(self, request, client_address) -> None:
        import sys

        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            self._faults.append(repr(error))

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Changes a request."""
        data = rng.choice(self._whole).encode()
        mutate = rng.choice((mutated_bytes, mutated_text))
        data = mutate(data, rng) if rng.random() < 0.95 else data
        return lambda: self._send(data)

    def _send(self, data: bytes) -> None:
        address = ("127.0.0.1", self._server.server_port)
        with socket.create_connection(address, timeout=5) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while piece := connection.recv(2**16):
                    answer += piece
        if self._faults:
            raise AssertionError(self._faults.pop())
        status = answer.split(b" ", 2)[1:2]
        if status == [b"500"]:
            words = answer.partition(b"\r\n\r\n")[2].decode()
            raise AssertionError(words.partition("Received: ")[2])
        if status != [b"200"]:
            raise DataError(f"status {status}: expected a right request")


class _Graphs:
    """The graph and the weights of an export, as they are loaded."""

    def __init__(self, folder: Path):
        from tests.export import tiny_model
        from tfvqgen.files import write_json
        from tfvqgen.generation.saved_model import ABOUT, SavedModel

        # Small, and so refused in the end: it has not all signatures.
        about = tiny_model.make_about()
        export = tiny_model.export(folder / "export", 1, about)
        (export / "1" / "assets").mkdir(exist_ok=True)
        write_json(export / "1" / ABOUT, about.to_json())

        def read(folder: Path) -> None:
            SavedModel(folder)

        names = ("1/saved_model.pb", "1/variables/variables.index")
        self._inputs = FuzzedFolder(export, read, names)

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Damages a file."""
        return self._inputs.draw(rng)


TARGETS: dict[str, Callable[[Path], Inputs]] = {
    "config_json": _config_json,
    "metrics": _metrics,
    "about_json": _about,
    "questions": _Questions,
    "requests_http": _Requests,
    "saved_model": _Graphs,
}
