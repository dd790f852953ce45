"""Compiles the program against the installed TensorFlow, and runs it."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

_SOURCE = Path(__file__).with_name("loader.cc")
_LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")


def build(compiler: str, folder: Path) -> Path | None:
    """Compiles the program into a folder; returns its path.

    Returns:
        None where there is no compiler.
    """
    import tensorflow as tf

    if shutil.which(compiler) is None:
        return None
    library = Path(tf.sysconfig.get_lib())
    program = folder / "loader"
    # The libraries need each other, which a linker that leaves out what the program
    # itself does not name would not see.
    subprocess.run(
        [
            compiler,
            "-O1",
            # All warnings are about the headers of TensorFlow.
            "-w",
            *tf.sysconfig.get_compile_flags(),
            str(_SOURCE),
            f"-L{library}",
            "-Wl,--no-as-needed",
            *(f"-l:{name}" for name in _LIBRARIES),
            f"-Wl,-rpath,{library}",
            "-o",
            str(program),
        ],
        check=True,
    )
    return program


def draw(
    program: Path, model: str | os.PathLike, rows: int
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Runs the program.

    Returns:
        The codes by name, flat, and its seconds by name, each starting with ``cpp_``.
    """
    done = subprocess.run(
        [str(program), os.fspath(model), str(rows)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    codes, seconds = {}, {}
    for line in done.stdout.splitlines():
        name, *numbers = line.split()
        if name.endswith("_codes"):
            codes[name] = np.array(numbers, np.int32)
        elif name.endswith("_seconds"):
            seconds[f"cpp_{name}"] = float(numbers[0])
    return codes, seconds
