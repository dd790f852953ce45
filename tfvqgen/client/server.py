"""Cells from a running TensorFlow Serving."""

import json
import sys
from collections.abc import Callable
from functools import cached_property

import numpy as np
from tqdm import tqdm

from tfvqgen.client.failure import Cause, Failure
from tfvqgen.client.grpc import GrpcTransport
from tfvqgen.client.rest import RAW_OUTPUTS, RestTransport, read_cells, read_raw_image
from tfvqgen.client.rows import Rows, check_rows, rows_per_request
from tfvqgen.client.transport import Served, Transport, with_retries
from tfvqgen.errors import DataError, UserError, require_in_range
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.source import Cells

# Shapes: N cells of H x W pixels and C channels; L labels.


PROTOCOLS: dict[str, Callable[[str, str], Transport]] = {
    "grpc": GrpcTransport,
    "rest": RestTransport,
}

ABOUT = "about"
GENERATE = "generate_multilabel"
# The same with the image as bytes, for REST: TensorFlow Serving can't write uint16 as
# JSON, and an image's numbers as text are three times its bytes in base64.
GENERATE_RAW = "generate_multilabel_raw"

_ABOUT_OUTPUTS = ("about_json",)


class Server:
    """A running TensorFlow Serving as a source of cells.

    Which version of the model answers is settled when it is first asked, and stays: a
    version that is loaded in between does not mix its cells with the others.

    Requests that fail for a while only (nobody answers yet, the server is not
    available, the model is loading) are made again, after ever longer pauses. Since
    rows say all that their cells depend on, that gives the same cells. Proxies that the
    environment names are not used.

    Args:
        address: ``host:port``; for REST also a URL before ``/v1``. Without a port it is
            TensorFlow Serving's, 8500 for gRPC and 8501 for REST.
        protocol: ``grpc`` or ``rest``. REST imports no TensorFlow.
        model: The model's name on the server.
        version: A number, a label, or None for the newest.
        timeout: Seconds that one request may take.
        retries: How often a request that failed for a while is made again.
        deadline: Seconds that a request may take with all its repetitions.
        rows_per_request: Cells of one request at most; None: 16, or fewer if a reply
            of so many is too large.

    Raises:
        UserError: An argument is wrong, or a package is missing. Nothing is asked yet.
    """

    def __init__(
        self,
        address: str,
        protocol: str = "grpc",
        model: str = "tfvqgen",
        version: int | str | None = None,
        *,
        timeout: float = 120.0,
        retries: int = 4,
        deadline: float = 300.0,
        rows_per_request: int | None = None,
    ):
        if protocol not in PROTOCOLS:
            raise UserError(
                f"unknown protocol: expected {' or '.join(PROTOCOLS)}. "
                f"Received: protocol={protocol}"
            )
        for name, seconds in (("timeout", timeout), ("deadline", deadline)):
            require_in_range(name, seconds, 0 < seconds < np.inf, "seconds above 0")
        require_in_range("retries", retries, retries >= 0, "0 or more")
        if isinstance(version, str) and version.isdecimal():
            version = int(version)
        self._protocol = protocol
        self._transport = PROTOCOLS[protocol](address, model)
        self._version = version
        self._patience = {"timeout": timeout, "retries": retries, "deadline": deadline}
        self._rows_per_request = rows_per_request
        self._where = f"{protocol} at {self._transport.address}, model {model}"
        if version is not None:
            self._where += f", version {version}"

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Gives connections back."""
        self._transport.close()

    @cached_property
    def about(self) -> ModelInfo:
        """What anybody must know of the model; asked for once.

        Raises:
            UserError: There is no answer, or the model is not one of this project's.
        """
        if ABOUT not in self._served.signatures:
            raise self._not_ours(f"no signature {ABOUT}")
        row = {"row": np.zeros(1, np.int32)}
        outputs = self._predict(ABOUT, row, _ABOUT_OUTPUTS)
        try:
            return ModelInfo.from_json(json.loads(outputs["about_json"][0]))
        except (DataError, LookupError, TypeError, ValueError) as error:
            raise self._not_ours(str(error)) from None

    def generate(
        self, labels, seeds, temperature=1.0, top_p=1.0, guidance=0.0
    ) -> Cells:
        """Returns cells for arrays with one row each.

        Many rows are several requests, with a bar on stderr.

        Args:
            labels: Multi-hot, float32 [N, L]; a row of zeros is unconditional.
            seeds: int64 [N].
            temperature: Above 0; float32 [N] or one number, as the next two.
            top_p: Above 0, at most 1 (off).
            guidance: At least 0 (off).

        Raises:
            UserError: A row is one that the model would refuse, and nothing was sent;
                or there is no answer.
        """
        about = self.model_info
        rows = check_rows(about, labels, seeds, temperature, top_p, guidance)
        size = rows_per_request(about, self._rows_per_request)
        signature = self._generate_signature()
        total = len(rows.seed)
        parts = [_no_cells(about)]
        with tqdm(
            desc="cells",
            total=total,
            unit="cell",
            dynamic_ncols=True,
            file=sys.stderr,
            disable=total <= size,
        ) as bar:
            for batch in rows.batches(size):
                parts.append(self._generate(signature, batch))
                bar.update(len(batch.seed))
        return Cells(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _generate(self, signature: str, rows: Rows) -> Cells:
        raw = signature == GENERATE_RAW
        names = RAW_OUTPUTS if raw else Cells._fields
        outputs = self._predict(signature, rows._asdict(), names)
        try:
            if raw:
                outputs = read_raw_image(self.model_info, outputs)
            return read_cells(self.model_info, len(rows.seed), outputs)
        except Failure as failure:
            raise self._error(failure) from None

    def _generate_signature(self) -> str:
        known = self._served.signatures
        if self._protocol == "rest" and GENERATE_RAW in known:
            return GENERATE_RAW
        if GENERATE not in known:
            raise self._not_ours(f"no signature {GENERATE}")
        if self._protocol == "rest" and self.model_info.dtype != "uint8":
            raise UserError(
                f"REST can't carry images of {self.model_info.dtype}: expected the "
                f"protocol grpc, or an export with the signature {GENERATE_RAW}. "
                f"Received: {self._where}"
            )
        return GENERATE

    @cached_property
    def _served(self) -> Served:
        """The version that answers all requests, and its signatures."""
        version = self._version
        return self._asked(
            version, lambda timeout: self._transport.served(version, timeout)
        )

    def _predict(self, signature, inputs, outputs) -> dict[str, np.ndarray]:
        version = self._served.version
        return self._asked(
            version,
            lambda timeout: self._transport.predict(
                signature, inputs, outputs, version, timeout
            ),
        )

    def _asked(self, version: int | str | None, request):
        """Returns a version's answer to a request, made again where that helps."""

        def attempt(timeout):
            try:
                return request(timeout)
            except Failure as failure:
                if failure.cause is Cause.NO_MODEL:
                    raise self._absence(version, failure, timeout) from None
                raise

        try:
            return with_retries(attempt, **self._patience)
        except Failure as failure:
            raise self._error(failure) from None

    def _absence(self, version, failure: Failure, timeout: float) -> Failure:
        """Returns why a version is not there: the failure leaves that open."""
        try:
            states = self._transport.states(timeout)
        except Failure as other:
            if other.cause.passes:
                raise
            # A server of predictions alone, as some imitations are.
            return failure
        if not states:
            return failure
        shown = ", ".join(
            f"version {x.version} {x.state} {x.message}".strip() for x in states
        )
        loading = {"START", "LOADING"}
        asked = {x.state for x in states if x.version == version}
        every = {x.state for x in states}
        if (asked or every) & loading:
            return Failure(Cause.LOADING, shown)
        if every & {"AVAILABLE", *loading}:
            return Failure(Cause.NO_VERSION, shown)
        return Failure(Cause.NOT_LOADED, shown)

    def _not_ours(self, detail: str) -> UserError:
        return self._error(Failure(Cause.NOT_OURS, detail))

    def _error(self, failure: Failure) -> UserError:
        return failure.as_user_error(self._transport.protocol, self._where)


def _no_cells(about: ModelInfo) -> Cells:
    return Cells(
        np.zeros((0, *about.image_shape), about.dtype),
        np.zeros((0, *about.top_shape), np.int32),
        np.zeros((0, *about.bottom_shape), np.int32),
    )
