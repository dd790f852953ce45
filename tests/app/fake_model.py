"""A model that answers at once, and servers of the page before it."""

import contextlib
import json
import threading
from http.client import HTTPConnection

import numpy as np

from tests.support import CHANNELS
from tfvqgen.app.server import PageServer
from tfvqgen.app.studio import Studio
from tfvqgen.data.dataset_info import default_display
from tfvqgen.generation.model_info import ModelInfo

LABELS = ("Nucleoli", "Golgi apparatus", "Rods & rings")


class FakeModel:
    """Its cells are noise of their seeds; codes are patches of 8 x 8 pixels."""

    def __init__(self, channels=3, dtype="uint8", side=32):
        names = CHANNELS[:channels]
        self.model_info = ModelInfo(
            preset="demo",
            labels=LABELS,
            channels=names,
            display=default_display(names),
            dtype=dtype,
            image_shape=(side, side, channels),
            top_shape=(side // 8, side // 8),
            bottom_shape=(side // 4, side // 4),
            num_embeddings=8,
            pixel_size=0.32,
            credit="random <i>noise</i>",
            steps={},
            fingerprints={"vqvae": "0"},
        )
        self.asked = []

    def ask(self, signature, **inputs):
        """Answers as the signatures do."""
        self.asked.append((signature, inputs))
        if signature == "reconstruct":
            return {"image": inputs["image"]}
        image = np.stack([self.noise(seed) for seed in inputs["seed"]])
        if signature == "complete":
            kept = inputs["mask"][..., None] == 1
            image = np.where(kept, inputs["image"], image)
        return {"image": image}

    def noise(self, seed):
        """Returns the cell of a seed."""
        rng = np.random.default_rng(int(seed))
        top = np.iinfo(self.model_info.dtype).max
        shape = self.model_info.image_shape
        return rng.integers(0, top, shape, self.model_info.dtype, endpoint=True)


@contextlib.contextmanager
def running(model, rate=None):
    """Serves the page of a model until the block ends; yields the server."""
    with PageServer(Studio(model), 0, rate) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def send(server, method, path, body=None, headers=None):
    """Sends a request; returns status, headers and body, decoded if it is JSON."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    if response.getheader("Content-Type") == "application/json":
        data = json.loads(data)
    return response.status, dict(response.getheaders()), data
