"""Starts the process that checks an export without Keras and this project."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tfvqgen.errors import DataError

_PROGRAM = Path(__file__).parent / "verification"


def verify(path: str | os.PathLike, only: str | None = None) -> dict[str, Any]:
    """Checks an export. This process does not import TensorFlow.

    Args:
        path: The folder of a version.
        only: ``warm_up`` loads the export and replays its warm-up; ``times`` loads it
            and measures requests. Defaults to all checks.

    Returns:
        ``checks``, each with ``name``, ``ok`` and ``detail``, and ``metrics``.

    Raises:
        DataError: The process died.
    """
    done = subprocess.run(
        # Isolated: the working folder and Python's variables have no influence.
        [sys.executable, "-I", str(_PROGRAM), os.fspath(path)]
        + ([f"--{only}"] if only else []),
        capture_output=True,
        text=True,
    )
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip() or "nothing on stderr").splitlines()[-1]
        raise DataError(
            "the process that checks the export died: expected it to finish. "
            f"Received: {path}, exit status {done.returncode} ({last})"
        ) from None
