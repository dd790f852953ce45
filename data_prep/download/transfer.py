"""One request for an image, and what may be wrong with the answer."""

import email.utils
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from data_prep.download.failure import Again, Failure
from data_prep.download.names import checked_url, host_of
from data_prep.download.pace import Clock, Pace
from data_prep.download.partial import Entity, Partial
from tfvqgen.errors import DataError, UserError

_PIECE = 2**16
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429)
_HEADERS = {
    "User-Agent": "tfvqgen-data-prep",
    # What is stored are the bytes that the index's checksum is of.
    "Accept-Encoding": "identity",
}
_WRONG_ADDRESSES = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
)


class Transfer:
    """Asks for images over connections that stay open; one thread's own.

    Args:
        pace: When to ask.
        clock: The time.
        timeout: Seconds to wait for a connection and for each further piece.
        longest: Seconds that one answer may take.
        most_bytes: The largest image that is taken.
    """

    def __init__(
        self,
        pace: Pace,
        clock: Clock,
        *,
        timeout: float,
        longest: float,
        most_bytes: int,
    ):
        self._pace = pace
        self._clock = clock
        self._timeout = timeout
        self._longest = longest
        self._most_bytes = most_bytes
        self._session = requests.Session()
        self._session.headers.update(_HEADERS)

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def fetch(self, url: str, partial: Partial) -> Entity:
        """Asks once, for the rest only if a part is there that the server still has.

        Args:
            url: The address in the index.
            partial: Where the bytes go; whole when this returns.

        Raises:
            Failure: It is not whole; what came is kept if it is of use.
        """
        begun = partial.entity(url)
        headers = {}
        if begun is not None and begun.validator:
            headers["Range"] = f"bytes={partial.size()}-"
            headers["If-Range"] = begun.validator
        address = url
        for _ in range(_MOST_REDIRECTS + 1):
            with self._ask(address, headers) as response:
                if response.status_code not in _REDIRECTS:
                    asked = begun if headers else None
                    return self._take(url, response, partial, asked)
                address = redirected(address, response.headers)
        raise Failure(f"more than {_MOST_REDIRECTS} redirects", Again.NEVER)

    def _ask(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        self._pace.wait(host_of(url))
        try:
            return self._session.get(
                url,
                headers=headers,
                stream=True,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except _WRONG_ADDRESSES as error:
            raise Failure(f"a wrong address ({_name(error)})", Again.NEVER) from None
        except requests.exceptions.Timeout:
            raise Failure("no answer in time", Again.LATER) from None
        except requests.exceptions.RequestException as error:
            raise Failure(f"no connection ({_name(error)})", Again.LATER) from None
        except OSError as error:
            # requests looks for certificates on its own.
            raise UserError(
                "the network can't be used: expected files of certificates that "
                f"exist. Received: {error}"
            ) from None

    def _take(
        self,
        url: str,
        response: requests.Response,
        partial: Partial,
        begun: Entity | None,
    ) -> Entity:
        start = 0
        entity = _entity(url, response)
        match response.status_code:
            case 200:
                pass
            case 206 if begun is not None:
                start = partial.size()
                entity = self._rest_of(begun, entity, response.headers, partial)
            case 416 if begun is not None:
                partial.discard()
                raise Failure("no rest where the part ends", Again.LATER)
            case code:
                raise _refusal(code, response.headers)
        if entity.size is not None and entity.size > self._most_bytes:
            raise Failure(_too_large(self._most_bytes), Again.NEVER)
        self._store(response, partial, entity, start)
        return entity

    def _rest_of(
        self,
        begun: Entity,
        entity: Entity,
        headers: Mapping[str, str],
        partial: Partial,
    ) -> Entity:
        """Returns the entity of an answer that is said to be the rest of a part."""
        found = re.fullmatch(
            r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range", "")
        )
        same = (
            found is not None
            and int(found[1]) == partial.size()
            and entity.etag in ("", begun.etag)
            and entity.modified in ("", begun.modified)
        )
        size = None if not same or found[3] == "*" else int(found[3])
        if not same or (None not in (size, begun.size) and size != begun.size):
            partial.discard()
            raise Failure("a rest that does not fit the part", Again.LATER)
        return Entity(
            begun.url, begun.etag, begun.modified, begun.size if size is None else size
        )

    def _store(
        self,
        response: requests.Response,
        partial: Partial,
        entity: Entity,
        start: int,
    ) -> None:
        end = self._clock.now() + self._longest
        size = start
        with partial.growing(entity, start) as file:
            for piece in _pieces(response):
                size += len(piece)
                if size > self._most_bytes:
                    raise Failure(_too_large(self._most_bytes), Again.NEVER)
                file.write(piece)
                self._clock.check()
                if self._clock.now() > end and size != entity.size:
                    raise Failure("too slow", Again.LATER)
        if entity.size is not None and size != entity.size:
            if size > entity.size:
                partial.discard()
            raise Failure("a length that is not the one announced", Again.LATER)


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """Yields the bytes as they come, each as soon as it is there."""
    try:
        while piece := response.raw.read1(_PIECE, decode_content=False):
            yield piece
    except urllib3.exceptions.ReadTimeoutError:
        raise Failure("the connection stalled", Again.LATER) from None
    except urllib3.exceptions.HTTPError:
        raise Failure("the connection broke", Again.LATER) from None


def _entity(url: str, response: requests.Response) -> Entity:
    headers = response.headers
    length = headers.get("Content-Length", "")
    known = re.fullmatch(r"\d{1,18}", length) and "Transfer-Encoding" not in headers
    return Entity(
        url,
        headers.get("ETag", ""),
        headers.get("Last-Modified", ""),
        int(length) if known else None,
    )


def redirected(url: str, headers: Mapping[str, str]) -> str:
    """Returns where an answer sends us.

    Raises:
        Failure: Not to the web, or from an encrypted place to an open one.
    """
    target = urljoin(url, headers.get("Location", ""))
    schemes = urlsplit(url).scheme, urlsplit(target).scheme
    try:
        target = checked_url(target, "the answer")
    except DataError:
        raise Failure("a redirect that leaves the web", Again.NEVER) from None
    if schemes == ("https", "http"):
        raise Failure("a redirect from https to http", Again.NEVER)
    return target


def _refusal(code: int, headers: Mapping[str, str]) -> Failure:
    if code in _PASSING or code >= 500:
        return Failure(f"HTTP {code}", Again.LATER, _retry_after(headers))
    return Failure(f"HTTP {code}", Again.NEVER)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds that the server asks to wait, if it does."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    until = _date(text)
    if until is None:
        return None
    # By the server's own clock, if it tells it.
    now = _date(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _too_large(most: int) -> str:
    return f"more than {most / 1e6:g} MB"


def _name(error: Exception) -> str:
    """Returns what a person may make something of: the innermost error's words."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    words = getattr(error, "strerror", None) or type(error).__name__
    return str(words)
