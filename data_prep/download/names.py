"""Addresses and file names that come from somebody else's table."""

import posixpath
import re
from urllib.parse import unquote, urlsplit

from data_prep.layouts.colours import COLOURS
from tfvqgen.errors import DataError

SCHEMES = ("http", "https")
_IMAGE = re.compile(r"\.(png|jpe?g|tiff?)(\.gz)?$", re.IGNORECASE)
_PART = re.compile(r"\w[\w .+,()=@-]*", re.ASCII)
_COLOUR = "|".join(COLOURS)
_COLOURS = re.compile(rf"_((?:{_COLOUR})(?:_(?:{_COLOUR}))*)\.[a-z.]+$", re.IGNORECASE)
_LONGEST_PART = 200
_MOST_PARTS = 8
_LONGEST_URL = 2000


def checked_url(text: str, where: str) -> str:
    """Returns an address without its fragment.

    Raises:
        DataError: It is not one of the web, or has a name and password in it.
    """
    url = text.partition("#")[0]
    try:
        parts = urlsplit(url)
        fine = (
            parts.scheme in SCHEMES
            and parts.hostname
            and (parts.port is None or parts.port > 0)
            and parts.username is None
            and len(url) <= _LONGEST_URL
            and not re.search(r"[\s\x00-\x1f\x7f\\]", url)
        )
    except ValueError:
        fine = False
    if not fine:
        raise DataError(
            f"wrong address in {where}: expected http:// or https://, a host and no "
            f"user name. Received: {text[:200]!r}"
        )
    return url


def host_of(url: str) -> str:
    """Returns the host of an address that :func:`checked_url` has passed."""
    return (urlsplit(url).hostname or "").lower()


def checked_path(text: str, where: str) -> str:
    """Returns the path of an image below the output folder.

    Raises:
        DataError: It is no image's, or could lead anywhere else, on any system.
    """
    parts = text.split("/")
    fine = len(parts) <= _MOST_PARTS and all(
        _PART.fullmatch(part)
        and len(part) <= _LONGEST_PART
        and not part.endswith((".", " "))
        for part in parts
    )
    if not fine or not _IMAGE.search(text):
        raise DataError(
            f"wrong path in {where}: expected folder/name.png (.jpg, .tif, also with "
            ".gz) below the output folder, of letters, digits and -_.+,()=@ without "
            f"a dot in front. Received: {text[:200]!r}"
        )
    return text


def path_of_url(url: str, where: str) -> str:
    """Returns where an image is kept: its folder's and its own name in the address.

    ``https://images.proteinatlas.org/58586/1060_C8_6_blue_red_green.jpg`` becomes
    ``58586/1060_C8_6_blue_red_green.jpg``.
    """
    parts = [part for part in unquote(urlsplit(url).path).split("/") if part]
    return checked_path(posixpath.join(*parts[-2:]) if parts else "", where)


def colours_of(path: str) -> tuple[str, ...]:
    """Returns the colours that an image's name says it shows, () if it says none."""
    found = _COLOURS.search(path)
    return tuple(found[1].lower().split("_")) if found else ()
