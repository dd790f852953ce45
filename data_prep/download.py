"""Downloads the images of an index over a few parallel connections.

urllib3's `Retry` repeats requests that fail. Images grow in hidden ``.part`` files,
which the next attempt or run continues (Range and If-Range). They get their final names
when their length and checksum are right and they can be decoded.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import multiprocessing.pool
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from data_prep.image_index import ImageIndex, ListedImage, host_of
from data_prep.images.field_images import read_field_image
from tfvqgen.errors import DataError
from tfvqgen.files import (
    blamed_on,
    read_json,
    sha256_of_file,
    sync_folder,
    whole_file,
    write_json,
    write_table,
)

# Hidden folders are not read as images.
STATE = ".download"
# Number of images in a row without an answer after which the others are not tried.
_MOST_UNANSWERED = 20
# Seconds before the first retry; each further pause is twice as long.
_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
# The checksums of an index are those of the stored bytes.
_HEADERS = {"User-Agent": "tfvqgen-data-prep", "Accept-Encoding": "identity"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DownloadOptions:
    """How images are downloaded."""

    workers: int = 4  # Number of parallel connections.
    rate: float = 8.0  # Largest number of requests a second; 0 disables the limit.
    retries: int = 5  # Number of retries for each image.
    timeout: float = 30.0  # Seconds for a connection and for each part of an image.
    max_bytes: int = 200_000_000  # Largest size of an image.
    verify: bool = False  # Compare the checksums of all existing images.


@dataclasses.dataclass
class DownloadReport:
    """Results of a download."""

    fetched: int = 0  # Number of downloaded images.
    bytes: int = 0  # Number of their bytes.
    kept: int = 0  # Number of images that existed already.
    # Paths of images that existed, but had changed.
    changed: list[str] = dataclasses.field(default_factory=list)
    # Images that could not be downloaded, with the reasons.
    failed: list[tuple[ListedImage, str]] = dataclasses.field(default_factory=list)
    untried: int = 0  # Number of images not tried because no server answered.

    def add(self, image: ListedImage, changed: bool, result) -> None:
        """Counts a result of the downloader."""
        if changed:
            self.changed.append(image.path)
        if isinstance(result, _Failure):
            self.failed.append((image, str(result)))
        elif result is None:
            self.kept += 1
        else:
            self.fetched += 1
            self.bytes += result["bytes"]


class _Failure(Exception):
    """An image cannot be downloaded; another attempt would fail, too."""


class _Unanswered(_Failure):
    """No server answered, although the request was repeated."""


class _Broken(_Failure):
    """The connection broke; the next attempt continues."""


class _Damaged(_Failure):
    """The image was damaged; one more attempt may succeed."""


def download(
    index: ImageIndex, output: Path, credit: str, options: DownloadOptions
) -> DownloadReport:
    """Downloads the images that do not exist yet.

    Writes the images, ``CREDIT.txt`` and ``fields.json`` with the credit line; for a
    table of fields ``IF-image.csv`` with the fields whose images all exist, also after
    an interruption; and ``failed.csv`` if some failed. No other run may write to
    `output`; `credit` is licence and source.

    Raises:
        UserError, OSError: The download cannot go on, e.g. because of a full disk.
    """
    (output / STATE).mkdir(parents=True, exist_ok=True)
    _write_credit(output, index, credit)
    downloader = _Downloader(output, options)
    report = DownloadReport()
    unanswered = 0
    try:
        # Its threads are daemons, so that a slow server cannot delay an interruption.
        with (
            multiprocessing.pool.ThreadPool(options.workers) as pool,
            tqdm(total=len(index.images), unit="image", desc="downloading") as bar,
        ):
            for result in pool.imap_unordered(downloader.run, index.images):
                report.add(*result)
                megabytes = round(report.bytes / 1e6)
                bar.set_postfix(MB=megabytes, failed=len(report.failed), refresh=False)
                bar.update()
                lost = isinstance(result[-1], _Unanswered)
                unanswered = unanswered + 1 if lost else 0
                if unanswered == _MOST_UNANSWERED:
                    break
    finally:
        downloader.stopped.set()
        _write_results(index, output, report, downloader.known)
    done = report.kept + report.fetched + len(report.failed)
    report.untried = len(index.images) - done
    return report


class _Downloader:
    """Downloads single images; threads share it. `stopped` stops all threads."""

    def __init__(self, output: Path, options: DownloadOptions):
        self.stopped = threading.Event()
        self._output, self._options = output, options
        self._gap = 1 / options.rate if options.rate else 0.0
        self._lock = threading.Lock()
        self._next_request = time.monotonic()
        self._journal = output / STATE / "images.jsonl"
        # Path -> record of each image that was downloaded, now or before.
        self.known = _read_journal(self._journal)
        # It waits as long as a server asks for (Retry-After).
        retry = urllib3.Retry(
            options.retries,
            redirect=5,
            status_forcelist=(408, 425, 429, 500, 502, 503, 504),
            backoff_factor=_PAUSE,
            backoff_max=_LONGEST_PAUSE,
            backoff_jitter=_PAUSE,
            raise_on_status=False,
        )
        self._session = requests.Session()
        self._session.headers.update(_HEADERS)
        self._session.max_redirects = 5
        adapter = HTTPAdapter(options.workers, options.workers, retry)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def run(self, image: ListedImage) -> tuple:
        """Returns the image, whether it had changed, and its record or the failure.

        The record is None if the image exists already.
        """
        path = self._output / image.path
        known = self.known.get(image.path)
        if known and self._is_unchanged(image, path, known):
            return image, False, None
        changed = known is not None and path.exists()
        try:
            record = self._fetch(image, path)
        except _Failure as failure:
            return image, changed, failure
        with self._lock, open(self._journal, "a", encoding="utf-8") as file:
            self.known[image.path] = record
            file.write(json.dumps(record) + "\n")
        return image, changed, record

    def _is_unchanged(self, image: ListedImage, path: Path, known: Mapping) -> bool:
        same = known.get("url") == image.url
        same = same and image.sha256 in ("", known.get("sha256"))
        if not same or not path.is_file() or path.is_symlink():
            return False
        status = path.stat()
        if status.st_size != known.get("bytes"):
            return False
        if status.st_mtime_ns == known.get("modified") and not self._options.verify:
            return True
        return sha256_of_file(path) == known.get("sha256")

    def _fetch(self, image: ListedImage, path: Path) -> dict[str, Any]:
        if not path.parent.resolve().is_relative_to(self._output.resolve()):
            raise DataError(
                "a link leads out of the output folder: expected folders in it. "
                f"Received: {path.parent}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(image.path.encode()).hexdigest()[:32]
        part = self._output / STATE / f"{name}.part"
        num_damaged = 0
        for attempt in itertools.count():
            try:
                self._receive(image.url, part)
                return self._finish(image, part, path)
            except (_Broken, _Damaged) as failure:
                num_damaged += isinstance(failure, _Damaged)
                if num_damaged > 1 or attempt == self._options.retries:
                    raise
            self.stopped.wait(min(_PAUSE * 2**attempt, _LONGEST_PAUSE))

    def _receive(self, url: str, part: Path) -> None:
        """Downloads an image into a file, or only the rest that the file lacks."""
        source = part.with_suffix(".source")
        start = part.stat().st_size if part.exists() else 0
        text = source.read_text() if source.exists() else ""
        known_url, _, validator = text.partition("\n")
        headers = {}
        if start and validator and known_url == url:
            headers = {"Range": f"bytes={start}-", "If-Range": validator}
        with self._answer(url, headers) as response:
            if response.url.startswith("http:") and url.startswith("https:"):
                raise _Failure("a redirect from https to http")
            if response.status_code == 200:
                part.unlink(missing_ok=True)
                source.write_text(f"{url}\n{_validator(response.headers)}")
            elif headers and response.status_code in (206, 416):
                rest = response.headers.get("Content-Range", "")
                same = _validator(response.headers) in ("", validator)
                if not rest.startswith(f"bytes {start}-") or not same:
                    part.unlink()
                    raise _Broken("the rest of another image")
            else:
                raise _Failure(f"HTTP {response.status_code}")
            self._store(response, part)

    def _answer(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        """Sends a request when its turn has come."""
        with self._lock:
            turn = max(self._next_request, time.monotonic())
            self._next_request = turn + self._gap
        self.stopped.wait(turn - time.monotonic())
        try:
            return self._session.get(
                url, headers=headers, stream=True, timeout=self._options.timeout
            )
        except requests.TooManyRedirects:
            raise _Failure("too many redirects") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            # A plain OSError says which certificate files are missing.
            reason = error if type(error) is OSError else type(error).__name__
            raise _Unanswered(f"no answer ({reason})") from None

    def _store(self, response: requests.Response, part: Path) -> None:
        most = self._options.max_bytes
        try:
            with blamed_on(part), open(part, "ab") as file:
                for piece in response.raw.stream(2**16, decode_content=False):
                    if file.tell() + len(piece) > most:
                        raise _Failure(f"more than {most / 1e6:g} MB")
                    file.write(piece)
                    if self.stopped.is_set():
                        raise _Failure("stopped")
        except urllib3.exceptions.HTTPError:
            raise _Broken("the connection broke") from None

    def _finish(self, image: ListedImage, part: Path, path: Path) -> dict[str, Any]:
        """Checks a whole file and gives it its final name."""
        sha256 = sha256_of_file(part)
        try:
            if image.sha256 not in ("", sha256):
                raise DataError("a sha256 that is not the one of the index")
            read_field_image(part, image.path)
        except DataError as error:
            part.unlink()
            raise _Damaged(str(error).partition(". Received")[0]) from None
        with blamed_on(path, temporary=part):
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
            sync_folder(path.parent)
        part.with_suffix(".source").unlink(missing_ok=True)
        status = path.stat()
        return {
            "path": image.path,
            "url": image.url,
            "sha256": sha256,
            "bytes": status.st_size,
            "modified": status.st_mtime_ns,
        }


def _validator(headers: Mapping[str, str]) -> str:
    """Returns what identifies the bytes of an answer, for If-Range; may be empty."""
    etag = headers.get("ETag", "")
    is_strong = etag and not etag.startswith("W/")
    return etag if is_strong else headers.get("Last-Modified", "")


def _read_journal(path: Path) -> dict[str, dict[str, Any]]:
    """Reads the records of images; damaged lines are left out."""
    records = {}
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            record = json.loads(line)
            records[record["path"]] = record
    # A line that a crash has cut off must not be continued.
    with whole_file(path, "w") as file:
        file.writelines(json.dumps(record) + "\n" for record in records.values())
    return records


def _write_credit(output: Path, index: ImageIndex, credit: str) -> None:
    hosts = sorted({host_of(image.url) for image in index.images})
    with whole_file(output / "CREDIT.txt", "w") as file:
        file.write(f"{credit}\n\nDownloaded from {', '.join(hosts)}.\n")
    path = output / "fields.json"
    stated = read_json(path) if path.exists() else {}
    if not isinstance(stated, dict):
        raise DataError(f"wrong fields.json: expected an object. Received: {path}")
    write_json(path, {**stated, "credit": credit})


def _write_results(
    index: ImageIndex, output: Path, report: DownloadReport, known: Mapping
) -> None:
    """Writes the tables of the fields that exist and of the images that failed."""
    failed = sorted(report.failed, key=lambda pair: (pair[0].line, pair[0].path))
    rows = [(image.path, image.url, reason) for image, reason in failed]
    (output / "failed.csv").unlink(missing_ok=True)
    if rows:
        write_table(output / "failed.csv", ("path", "url", "reason"), rows)
    if index.header:
        missing = {image.path for image, _ in failed}
        incomplete = {
            image.line
            for image in index.images
            if image.path in missing
            or known.get(image.path, {}).get("url") != image.url
            or not (output / image.path).is_file()
        }
        lines = [x for i, x in enumerate(index.lines) if i not in incomplete]
        write_table(output / "IF-image.csv", index.header, lines)
