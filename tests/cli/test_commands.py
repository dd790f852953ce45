import pytest

from tfvqgen.__main__ import main


def run(monkeypatch, capsys, *words):
    """Runs a command in this process; returns exit status, stdout and stderr."""
    monkeypatch.setattr("sys.argv", ["tfvqgen", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("app", "--port"),
        ("evaluate", "--num_samples"),
        ("figures", "--num_per_label"),
        ("request", "--protocol"),
        ("sample", "--guidance"),
        ("verify", "--json"),
    ],
)
def test_help_explains_the_flags(monkeypatch, capsys, command, flag):
    status, out, _ = run(monkeypatch, capsys, command, "--help")
    assert status == 0 and flag in out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["app", "--model", "m", "--port", "70000"], "0 to 65535"),
        (["app", "--model", "nowhere"], "nowhere"),
        (["evaluate", "--workdir", "nowhere", "--data_dir", "x"], "nowhere"),
        (["figures", "--workdir", "nowhere", "--data_dir", "x"], "nowhere"),
        (["figures", "--workdir", "x", "--data_dir", "y", "--top_p", "2"], "top_p"),
        (["sample", "--model", "nowhere", "--output", "x"], "nowhere"),
        (["verify", "--model", "nowhere"], "nowhere"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_line_and_status_2(monkeypatch, capsys, tmp_path, words, part):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(monkeypatch, capsys, *words)
    assert status == 2
    assert err.startswith("error: ") and err.count("\n") == 1
    assert part in err
