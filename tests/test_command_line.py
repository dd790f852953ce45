"""What users see when something is wrong, and when they interrupt a command."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests import support
from tfvqgen import command_line
from tfvqgen.errors import UserError
from tfvqgen.files import whole_file

FORM = re.compile(r"error: [^\n]+: expected [^\n]+\. Received: [^\n]+\n")


def run_module(*words):
    return subprocess.run(
        [sys.executable, *words],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
    )


def fails_with(capsys, body):
    """Runs the body under the guard and returns the line on stderr."""
    with pytest.raises(SystemExit) as stopped, command_line.guard():
        body()
    assert stopped.value.code == 2
    line = capsys.readouterr().err
    assert FORM.fullmatch(line), line
    return line


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ((), ("command is missing",)),
        (("nope",), ("synthesize, shard, inspect", "nope")),
        (("--nope", "shard"), ("unknown flag", "--nope")),
        (("shard",), ("missing", "expected --crops, --output", "Received: nothing")),
        (("shard", "--crops", "a"), ("missing", "expected --output", "--crops a")),
        (("shard", "--crop", "a"), ("unknown flag", "--crops?", "Received: --crop\n")),
        (("shard", "--output"), ("--output has no value",)),
        (("shard", "--output=", "--crops=a"), ("--output has an empty value",)),
        (("shard", "--crops", ""), ("empty value", "Received: shard --crops\n")),
        (("shard", "--overwrite=3"), ("--overwrite takes no value",)),
        (("shard", "--seed", "x"), ("--seed", "a whole number", "Received: x\n")),
        (("shard", "--label_policy", "x"), ("multi_hot, single_only", "x\n")),
        (("inspect", "--data", "a", "rest"), ("not a flag", "rest\n")),
        (("synthesize", "--output", "a"), ("--num_cells or --fields",)),
        (("synthesize", "--num_cells=1", "--fields=1"), ("exclude each other",)),
        (("synthesize", "--defects", "x"), ("expected a number", "Received: x\n")),
    ],
)
def test_wrong_flags_of_a_subcommand_are_one_sentence(
    monkeypatch, capsys, words, parts
):
    from data_prep.commands import inspect, shard, synthesize

    commands = {"synthesize": synthesize, "shard": shard, "inspect": inspect}
    parser = command_line.subcommand_parser("prog", "", commands)
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(list(words))
    assert stopped.value.code == 2
    line = capsys.readouterr().err
    assert FORM.fullmatch(line), line
    for part in parts:
        assert part in line


ABSL_PROGRAM = """
from absl import flags
from tfvqgen.command_line import run_with_flags
flags.DEFINE_string("data", None, "Where.", required=True)
flags.DEFINE_string("other", None, "What.", required=True)
flags.DEFINE_integer("steps", 1, "How many.", lower_bound=1)
flags.DEFINE_enum("kind", "a", ["a", "b"], "Which.")
run_with_flags(lambda: print(flags.FLAGS.data))
"""


@pytest.fixture(scope="module")
def absl_lines(tmp_path_factory):
    """Runs a program with absl flags in many ways at once, for they start slowly."""
    program = tmp_path_factory.mktemp("program") / "program.py"
    program.write_text(ABSL_PROGRAM)
    both = ["--data=~/d", "--other=o"]
    calls = {
        "missing": [],
        "unknown": ["--stpes=3"],
        "bad": [*both, "--steps=x"],
        "low": [*both, "--steps=0"],
        "choice": [*both, "--kind=c"],
        "valueless": ["--data"],
        "empty": [*both, "--data="],
        "rest": [*both, "rest"],
        "help": ["--help"],
        "fine": both,
    }
    started = {
        name: subprocess.Popen(
            [sys.executable, str(program), *words],
            env=support.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, words in calls.items()
    }
    return {name: (*p.communicate(), p.returncode) for name, p in started.items()}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("missing", ("expected --data, --other", "Received: nothing")),
        ("unknown", ("unknown flag", "steps", "Received: --stpes\n")),
        ("bad", ("--steps", "Received: x\n")),
        ("low", ("--steps", "positive", "Received: 0\n")),
        ("choice", ("--kind", "a|b", "Received: c\n")),
        ("valueless", ("--data has no value",)),
        ("empty", ("--data has an empty value", "--other=o --data=\n")),
        ("rest", ("not a flag", "Received: rest\n")),
    ],
)
def test_wrong_absl_flags_are_one_sentence(absl_lines, name, parts):
    out, line, status = absl_lines[name]
    assert (status, out) == (2, "")
    assert FORM.fullmatch(line), line
    for part in parts:
        assert part in line


def test_help_of_absl_flags_is_no_failure(absl_lines):
    out, err, status = absl_lines["help"]
    assert (status, err) == (0, "")
    assert "--data: Where." in out and "--steps: How many." in out


def test_a_home_folder_is_spelt_out_after_an_equals_sign(absl_lines):
    assert absl_lines["fine"] == (f"{Path.home() / 'd'}\n", "", 0)
    from data_prep.commands import shard

    parser = command_line.subcommand_parser("prog", "", {"shard": shard})
    args = parser.parse_args(["shard", "--crops=~/d", "--output", "a=~"])
    assert (args.crops, args.output) == (str(Path.home() / "d"), "a=~")


def test_help_of_a_subcommand_has_its_text_and_every_flag():
    done = run_module("-m", "data_prep", "shard", "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert "Splits never share a group" in done.stdout
    for word in ("--label_policy", "multi_hot", "kaggle2018", "(default: 8)"):
        assert word in done.stdout
    assert "None" not in done.stdout and "--helpfull" not in done.stdout


def test_errors_of_the_system_are_sentences_with_the_name(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")

    def line(body):
        return fails_with(capsys, body)

    assert f"Received: {file}\n" in line(lambda: file.mkdir())
    assert f"Received: {file / 'a'}\n" in line(lambda: (file / "a").read_text())
    assert f"Received: {tmp_path / 'b'}\n" in line(lambda: (tmp_path / "b").read_text())
    assert f"Received: {tmp_path}\n" in line(lambda: tmp_path.read_text())


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (28, "no space left"),
        (13, "permission denied"),
        (30, "read-only"),
        (122, "quota"),
        (5, "Input/output error"),
    ],
)
def test_the_final_name_stands_in_the_error_of_a_file(tmp_path, capsys, number, words):
    def write():
        with whole_file(tmp_path / "final.png"):
            raise OSError(number, os.strerror(number))

    line = fails_with(capsys, write)
    assert words in line
    assert line.endswith(f"Received: {tmp_path / 'final.png'}\n")


def test_no_temporary_name_is_shown_where_a_folder_is_missing(tmp_path, capsys):
    def write():
        with whole_file(tmp_path / "no" / "final.png"):
            pass

    line = fails_with(capsys, write)
    assert line.endswith(f"Received: {tmp_path / 'no' / 'final.png'}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cleans_up_and_says_how_to_go_on(tmp_path, capsys, number):
    before = signal.getsignal(signal.SIGTERM)
    with (
        pytest.raises(SystemExit) as stopped,
        command_line.guard("run it twice"),
        whole_file(tmp_path / "final") as file,
    ):
        file.write(b"half")
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert stopped.value.code == 128 + number
    assert os.listdir(tmp_path) == []
    err = capsys.readouterr().err
    assert err.endswith("; run it twice\n") and err.count("\n") == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_goes_to_handlers_that_the_body_installs_itself():
    came = []
    with command_line.guard():
        ours = signal.signal(signal.SIGTERM, lambda *_: came.append(1))
        os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(signal.SIGTERM, ours)
    assert came == [1]


def test_an_interrupted_import_is_quiet_and_a_failed_one_is_not(tmp_path):
    program = textwrap.dedent("""
        import os, sys
        from tfvqgen import command_line
        with command_line._stderr_held_back():
            os.write(2, b"chatter")
            raise {error}
    """)
    for error, shown in (("KeyboardInterrupt", False), ("ImportError('no')", True)):
        done = run_module("-c", program.format(error=error))
        assert done.stderr.startswith("chatter") == shown
        assert done.stderr.count("chatter") == shown


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_leaves_no_unfinished_file(tmp_path, signal_number):
    folder = tmp_path / "new"
    process = subprocess.Popen(
        [sys.executable, "-m", "data_prep", "synthesize", "--output", str(folder)]
        + ["--num_cells", "20000", "--size", "16", "--workers", "1"],
        cwd=support.ROOT,
        env=support.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(600):
            if len(list(folder.glob("images/*.png"))) > 3:
                break
            time.sleep(0.05)
        process.send_signal(signal_number)
        err = process.communicate(timeout=60)[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 128 + signal_number
    assert "Traceback" not in err and "start over" in err.splitlines()[-1]
    assert not (folder / "crops.csv").exists()
    assert [p for p in folder.rglob("*") if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    "word", ["--verbosity=x", "--stderrthreshold=x", "--logger_levels=x"]
)
def test_a_wrong_value_of_a_flag_of_absl_is_one_line(word):
    done = run_module("-m", "data_prep", "inspect", "--data=x", word)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")


def test_a_flag_as_long_as_a_book_is_one_short_line():
    done = run_module("train.py", "--data_dir=a", "--workdir=b", f"--{'x' * 5000}=1")
    assert done.returncode == 2
    assert FORM.fullmatch(done.stderr) and len(done.stderr) < 5000


def test_a_line_is_short_and_steers_no_terminal(capsys):
    def fail():
        raise UserError(f"wrong: expected a. Received: \x1b[2J\u202e{'x' * 9999}end")

    line = fails_with(capsys, fail)
    assert len(line) < 4100 and line.endswith("end\n")
    assert "\x1b" not in line and "\\x1b[2J\\u202e" in line
