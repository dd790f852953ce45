"""TensorFlow Serving's REST API before a model.

Paths, bodies and errors as TensorFlow Serving's documentation of its RESTful API has
them, and its types: there is no uint16 among them.
"""

import base64
import json
import re
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

import numpy as np

from tests.client.served_model import Refused, ServedModel

_CHOICE = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(rf"/v1/models/(?P<name>[^/:]+){_CHOICE}:predict")
_STATUS = re.compile(rf"/v1/models/(?P<name>[^/:]+){_CHOICE}(?P<metadata>/metadata)?")
_HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_TYPES = {"int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "bool"}


class RestHandler(BaseHTTPRequestHandler):
    """Answers for the model of its class attribute."""

    model: ServedModel
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answers about the model: its versions' states, or its signatures."""
        self._answer(_STATUS, self._get)

    def do_POST(self):
        """Runs a signature."""
        self._answer(_PREDICT, self._predict)

    def log_message(self, *args):
        """Says nothing."""

    def _answer(self, pattern, act):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = pattern.fullmatch(self.path)
        try:
            if found is None:
                words = f"Malformed request: {self.command} {self.path}"
                raise Refused("INVALID_ARGUMENT", words)
            version, label = found["version"], found["label"]
            text = act(
                found,
                body,
                unquote(found["name"]),
                int(version) if version else None,
                unquote(label) if label else None,
            )
            status = 200
        except Refused as error:
            text = json.dumps({"error": error.message}, indent=4)
            status = _HTTP[error.code]
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _get(self, found, body, name, version, label):
        del body
        if found["metadata"]:
            version, model = self.model.find(name, version, label)
            return json.dumps(
                {
                    "model_spec": {
                        "name": name,
                        "signature_name": "",
                        "version": str(version),
                    },
                    "metadata": {
                        "signature_def": {
                            "signature_def": {
                                key: {"method_name": "tensorflow/serving/predict"}
                                for key in model.signatures
                            }
                        }
                    },
                }
            )
        status = {"error_code": "OK", "error_message": ""}
        states = [
            {"version": str(number), "state": state, "status": status}
            for number, state in self.model.status(name, version)
        ]
        return json.dumps({"model_version_status": states}, indent=1)

    def _predict(self, found, body, name, version, label):
        del found
        try:
            value = json.loads(body)
        except ValueError as error:
            raise Refused("INVALID_ARGUMENT", f"JSON Parse error: {error}") from None
        signature = value.get("signature_name", "serving_default")
        _, model = self.model.find(name, version, label)
        if signature not in model.signatures:
            words = f'Serving signature name: "{signature}" not found in signature def'
            raise Refused("INVALID_ARGUMENT", words)
        specs = model.signatures[signature].structured_input_signature[1]
        by_row = "instances" in value
        inputs = _inputs(value, specs, by_row)
        _, outputs = self.model.predict(name, version, label, signature, inputs)
        return _rows(outputs) if by_row else _columns(outputs)


def _inputs(value, specs, by_row):
    if by_row == ("inputs" in value):
        raise Refused("INVALID_ARGUMENT", "Missing 'inputs' or 'instances' key")
    columns = value.get("inputs")
    if by_row:
        rows = value["instances"]
        if not rows:
            raise Refused("INVALID_ARGUMENT", "No values in 'instances' array")
        if isinstance(rows[0], dict):
            for number, row in enumerate(rows):
                if set(row) != set(specs):
                    names = ",".join(sorted(specs))
                    raise Refused(
                        "INVALID_ARGUMENT",
                        f"Failed to process element: {number} of 'instances' list. "
                        f"JSON object: keys must be equal to: {names}",
                    )
            columns = {key: [row[key] for row in rows] for key in specs}
        else:
            columns = rows
    if not isinstance(columns, dict):
        columns = {next(iter(specs)): columns}
    return {key: _tensor(key, columns, spec) for key, spec in specs.items()}


def _tensor(key, columns, spec):
    if key not in columns:
        words = f"Missing named input: {key} in 'inputs' object."
        raise Refused("INVALID_ARGUMENT", words)
    dtype = spec.dtype.as_numpy_dtype
    found = np.array(columns[key])
    whole = np.issubdtype(dtype, np.integer)
    if found.dtype.kind not in ("iu" if whole else "iuf") and found.size:
        raise Refused(
            "INVALID_ARGUMENT",
            f"JSON Value: {columns[key]} is not of expected type: {spec.dtype.name}",
        )
    return found.astype(dtype)


def _rows(outputs):
    if len(outputs) == 1:
        ((name, value),) = outputs.items()
        return json.dumps({"predictions": _json(name, value)})
    columns = {name: _json(name, value) for name, value in outputs.items()}
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]
    return json.dumps({"predictions": rows})


def _columns(outputs):
    columns = {name: _json(name, value) for name, value in outputs.items()}
    value = next(iter(columns.values())) if len(columns) == 1 else columns
    return json.dumps({"outputs": value}, indent=4)


def _json(name, value):
    if value.dtype == object:
        if name.endswith("_bytes"):
            return [{"b64": base64.b64encode(x).decode()} for x in value]
        return [x.decode() for x in value]
    if value.dtype.name not in _TYPES | {"float32", "float64"}:
        raise Refused(
            "INVALID_ARGUMENT",
            f"Failed to write JSON value for tensor type: {value.dtype.name}",
        )
    return value.tolist()
