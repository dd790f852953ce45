"""Has an export checked by a process that has TensorFlow and nothing of ours."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tfvqgen.errors import DataError

_PROGRAM = Path(__file__).parent / "verification"


def verify(path: str | os.PathLike, only: str | None = None) -> dict[str, Any]:
    """Checks an export; TensorFlow is not imported in this process.

    Args:
        path: A version's folder.
        only: ``warm_up``, to load it and replay its warm-up; ``times``, to load it
            and to time requests.

    Returns:
        ``checks``, each with ``name``, ``ok`` and ``detail``, and ``figures``.

    Raises:
        DataError: The process died.
    """
    words = [f"--{only}"] if only else []
    # Isolated: neither the working folder nor variables of Python's are looked at.
    done = subprocess.run(
        [sys.executable, "-I", str(_PROGRAM), os.fspath(path), *words],
        capture_output=True,
        text=True,
    )
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip() or "nothing on stderr").splitlines()[-1]
        raise DataError(
            "the process that tries an export died: expected it to end by itself. "
            f"Received: {path}, exit status {done.returncode} ({last})"
        ) from None
