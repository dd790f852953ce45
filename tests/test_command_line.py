"""Errors and interruptions as users of the commands see them."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
import types

import pytest
from absl import flags

from tests import support
from tfvqgen import command_line
from tfvqgen.errors import UserError
from tfvqgen.files import whole_file


def line_of(capsys, body):
    """Runs the body under the guard and returns the line on stderr."""
    with pytest.raises(SystemExit) as stopped, command_line.guard():
        body()
    assert stopped.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1
    return line


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "required: command"),
        (("nope",), "invalid choice: 'nope'"),
        (("shard",), "required: --crops, --output"),
        (("shard", "--crop", "a", "--crops", "b", "--output", "c"), "--crop a"),
        (("shard", "--seed", "x"), "invalid int value: 'x'"),
    ],
)
def test_wrong_flags_of_a_command_end_with_the_message_of_argparse(capsys, words, part):
    from data_prep.commands import inspect, shard

    commands = {"shard": shard, "inspect": inspect}
    parser = command_line.subcommand_parser("prog", "", commands)
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(list(words))
    assert stopped.value.code == 2
    assert part in capsys.readouterr().err


def test_help_of_a_command_has_its_text_and_the_defaults_without_tensorflow(capsys):
    program = "import sys, data_prep.__main__ as m; sys.argv = ['x', 'shard', '-h']; "
    program += "import atexit; atexit.register(lambda: print('tensorflow' in "
    program += "sys.modules)); m.main()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == ""
    assert "Splits never share a group" in done.stdout
    assert "Number of shards of each split. Default: 8." in done.stdout
    assert done.stdout.rstrip().endswith("False")


@pytest.mark.parametrize(
    ("words", "status", "output", "message"),
    [
        (["--stpes=3"], 2, "", "Unknown command line flag 'stpes'"),
        (["--steps=0"], 2, "", "--steps"),
        (["rest"], 2, "", "Received: rest"),
        (["--help"], 0, "Number of steps.", ""),
        (["--steps=3"], 0, "steps: 3", ""),
    ],
)
def test_wrong_absl_flags_end_with_the_message_of_absl_and_status_2(
    capsys, words, status, output, message
):
    command = types.ModuleType("command", "Trains.")
    options = {"lower_bound": 1, "module_name": "command", "allow_override": True}

    def define_flags():
        flags.DEFINE_integer("steps", 1, "Number of steps.", **options)

    command.define_flags = define_flags
    command.run = lambda: print(f"steps: {flags.FLAGS.steps}")
    with pytest.raises(SystemExit) as stopped:
        command_line.run_with_flags(command, ["prog", *words])
    flags.FLAGS.unparse_flags()
    delattr(flags.FLAGS, "steps")
    assert (stopped.value.code or 0) == status
    captured = capsys.readouterr()
    assert output in captured.out and message in captured.err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_an_error_of_the_system_is_one_line_with_the_final_name(
    tmp_path, capsys, number
):
    def write():
        with whole_file(tmp_path / "final.png"):
            raise OSError(number, os.strerror(number))

    expected = f"error: {os.strerror(number)}: {tmp_path / 'final.png'}\n"
    assert line_of(capsys, write) == expected


def test_a_message_cannot_control_the_terminal(capsys):
    def fail():
        raise UserError("wrong: expected a. Received: \x1b[2J\u202ename")

    assert "\\x1b[2J\\u202ename" in line_of(capsys, fail)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_removes_temporary_files_and_says_how_to_continue(
    tmp_path, capsys, number
):
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


def test_an_interrupted_command_leaves_no_unfinished_file(tmp_path):
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
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=60)[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err and "start over" in err.splitlines()[-1]
    assert not (folder / "crops.csv").exists()
    assert [p for p in folder.rglob("*") if p.name.startswith(".")] == []
