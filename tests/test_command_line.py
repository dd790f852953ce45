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
from absl import flags, logging

from tests import support
from tfvqgen import command_line
from tfvqgen.files import whole_file


def test_help_of_a_command_has_its_text_and_the_defaults_without_tensorflow():
    program = "import atexit, sys; sys.argv[1:] = ['shard', '-h']\n"
    program += "import data_prep.__main__ as m; run = m.main\n"
    program += "atexit.register(lambda: print('tensorflow' in sys.modules)); run()"
    command = [sys.executable, "-c", program]
    out = subprocess.check_output(command, env=support.environment(), text=True)
    assert "Splits never share a group" in out
    assert "Number of shards of each split. Default: 8." in out
    assert out.rstrip().endswith("False")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--stpes=3"], 2, "Unknown command line flag 'stpes'"),
        (["rest"], 2, "Received: rest"),
        (["--help"], 0, "Number of steps."),
        (["--steps=3"], 0, "steps: 3"),
    ],
)
def test_absl_flags_are_read_and_wrong_ones_end_with_status_2(
    capsys, words, status, message
):
    command = types.ModuleType("command", "Trains.")
    options = {"module_name": "command", "allow_override": True}
    command.define_flags = lambda: flags.DEFINE_integer(
        "steps", 1, "Number of steps.", **options
    )
    command.run = lambda: print(f"steps: {flags.FLAGS.steps}")
    with pytest.raises(SystemExit) as stopped:
        command_line.run_with_flags(command, ["prog", *words])
    flags.FLAGS.unparse_flags()
    delattr(flags.FLAGS, "steps")
    assert (stopped.value.code or 0) == status
    assert message in "".join(capsys.readouterr())


def test_an_error_of_the_system_is_one_line_with_the_final_name(tmp_path, capsys):
    with (
        pytest.raises(SystemExit) as stopped,
        command_line.guard(),
        whole_file(tmp_path / "\x1b[2J\u202efinal.png"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert stopped.value.code == 2
    # A message cannot control the terminal.
    name = tmp_path / "\\x1b[2J\\u202efinal.png"
    assert capsys.readouterr().err == f"error: No space left on device: {name}\n"


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


def test_tensorflow_reports_only_warnings_in_commands():
    before = logging.get_verbosity()
    logging.set_verbosity(logging.INFO)
    try:
        command_line.import_tensorflow()
        assert logging.get_verbosity() == logging.WARNING
    finally:
        logging.set_verbosity(before)
