import os
import signal

import pytest

from tfvqgen.errors import DataError, UserError
from tfvqgen.files import (
    exclusive,
    read_json,
    read_sealed_json,
    require_plain_path,
    whole_file,
    write_json,
    write_sealed_json,
)


def test_a_file_appears_with_all_its_bytes(tmp_path):
    with whole_file(tmp_path / "a.txt", "w") as file:
        file.write("grün\n")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_bytes() == "grün\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a", "w") as file:
        file.write("new")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_json_round_trip(tmp_path):
    value = {"ü": [1, 2.5, None, True], "b": {}}
    write_json(tmp_path / "a.json", value)
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json") == value


def test_a_missing_or_damaged_json_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no such file.*a\.json"):
        read_json(tmp_path / "a.json")
    for content in (b"", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}'):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.json"):
            read_json(tmp_path / "a.json")


def test_a_second_run_is_refused_while_the_first_one_has_the_folder(tmp_path):
    with exclusive(tmp_path, "the folder"):
        with (
            pytest.raises(UserError, match=r"the folder is in use.*expected one run"),
            exclusive(tmp_path, "the folder"),
        ):
            pass
        with exclusive(tmp_path, "the folder", ".lock-1"):
            pass
        assert (tmp_path / ".lock").exists()
    with exclusive(tmp_path, "the folder"):
        pass
    assert os.listdir(tmp_path) == []


def test_the_lock_of_a_killed_run_has_no_effect(tmp_path):
    if (child := os.fork()) == 0:
        with exclusive(tmp_path, "it"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert os.listdir(tmp_path) == [".lock"]
    with exclusive(tmp_path, "it"):
        pass


def test_a_new_folder_is_removed_if_it_is_empty(tmp_path):
    with exclusive(tmp_path / "a" / "empty", "it"):
        assert (tmp_path / "a" / "empty").is_dir()
    with exclusive(tmp_path / "a" / "full", "it"):
        (tmp_path / "a" / "full" / "file").write_text("")
    assert os.listdir(tmp_path / "a") == ["full"]
    (tmp_path / "old").mkdir()
    with exclusive(tmp_path / "old", "it"):
        pass
    assert (tmp_path / "old").is_dir()


@pytest.mark.parametrize("text", ['"width": 8', '"rate": 0.25', '"a"'])
def test_a_changed_byte_in_a_sealed_file_is_found(tmp_path, text):
    value = {"config": {"width": 8, "rate": 0.25}, "names": ["a", "µ"]}
    write_sealed_json(tmp_path / "sealed.json", value)
    assert read_sealed_json(tmp_path / "sealed.json") == value
    whole = (tmp_path / "sealed.json").read_text()
    assert text in whole
    last = chr(ord(text[-2]) ^ 1) + text[-1] if text[-1] == '"' else "9"
    (tmp_path / "sealed.json").write_text(
        whole.replace(text, text[: -len(last)] + last)
    )
    with pytest.raises(DataError, match=r"damaged file.*sealed\.json"):
        read_sealed_json(tmp_path / "sealed.json")


def test_a_file_of_an_earlier_version_without_a_hash_is_read(tmp_path):
    (tmp_path / "old.json").write_text('{"a": 1}')
    assert read_sealed_json(tmp_path / "old.json") == {"a": 1}


@pytest.mark.parametrize("name", ["run[1]", "a[b/c]d", "a\\b"])
def test_a_path_that_tensorflow_reads_as_a_pattern_is_refused(name):
    with pytest.raises(UserError, match="TensorFlow cannot read"):
        require_plain_path(f"{name}/vqvae")
    for other in ("a[b", "a]b", "{a}*? 'b'"):
        require_plain_path(f"/data/{other}/vqvae")
