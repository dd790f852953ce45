"""What a download keeps of itself, after somebody or a crash has changed it."""

import json

import pytest

from data_prep.download.journal import Fetched, Journal
from data_prep.download.partial import Entity, Partial

URL = "https://images.example/1/a_red.png"
ODD = [5, True, None, [], {}, ["a"], {"a": 1}, 1.5]


@pytest.mark.parametrize("name", ["path", "url", "sha256", "etag"])
@pytest.mark.parametrize("value", ODD)
def test_a_line_of_another_type_is_forgotten(tmp_path, name, value):
    path = tmp_path / "fetched.jsonl"
    line = {"path": "a", "url": URL, "sha256": "0", "bytes": 1, "modified": 2}
    other = {**line, "path": "b"}
    path.write_text(f"{json.dumps({**line, name: value})}\n{json.dumps(other)}\n")
    journal = Journal(path)
    journal.close()
    assert journal.find("a") is None
    assert journal.find("b") == Fetched("b", URL, "0", 1, 2)
    # The file has only lines that are believed.
    assert len(path.read_text().splitlines()) == 1


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "null", "5"])
def test_no_line_is_too_strange(tmp_path, text):
    path = tmp_path / "fetched.jsonl"
    path.write_text(f"{text}\n")
    Journal(path).close()
    assert path.read_text() == ""


@pytest.mark.parametrize(
    "changes",
    [{name: value} for name in ("url", "etag", "modified") for value in ODD]
    + [{"size": value} for value in ("5", 1.5, [], {})]
    + [{"etag": "a\r\nX-Evil: 1"}, {"modified": "\n"}, {"more": 1}],
)
def test_a_part_that_is_not_what_it_says_is_begun_anew(tmp_path, changes):
    partial = Partial(tmp_path, "a_red.png")
    entity = Entity(URL, '"1"', "Sun, 22 Nov 2026 12:00:00 GMT", 9)
    with partial.growing(entity, 0) as file:
        file.write(b"abc")
    assert partial.entity(URL) == entity
    about = partial.path.with_suffix(".json")
    about.write_text(json.dumps({**json.loads(about.read_text()), **changes}))
    assert partial.entity(URL) is None


@pytest.mark.parametrize("text", ["[" * 100_000, "", "null", "[1]", "\ud800"])
def test_no_description_of_a_part_is_too_strange(tmp_path, text):
    partial = Partial(tmp_path, "a_red.png")
    with partial.growing(Entity(URL), 0) as file:
        file.write(b"abc")
    about = partial.path.with_suffix(".json")
    about.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert partial.entity(URL) is None
