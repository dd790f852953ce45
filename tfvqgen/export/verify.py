"""Starts the process that checks an export without Keras and this project."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tfvqgen.errors import DataError

# A module that is None cannot be imported. The package has no content while the checks
# are imported, which need only the loader of graphs from it; then it is gone.
_PROGRAM = """
import os, sys, types
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
absent = ("keras", "tf_keras", "tensorflow_probability", "data_prep")
sys.modules.update(dict.fromkeys(absent))
package = sys.modules["tfvqgen"] = types.ModuleType("tfvqgen")
package.__path__ = [sys.argv[1]]
from tfvqgen.export.checks import main
sys.modules["tfvqgen"] = None
main(*sys.argv[2:])
"""


def verify(path: str | os.PathLike, only: str | None = None) -> dict[str, Any]:
    """Checks the version in a folder. This process does not import TensorFlow.

    Args:
        path: The folder of a version.
        only: ``warm_up`` loads the export and replays its warm-up; ``times`` loads it
            and measures requests. Defaults to all checks.

    Returns:
        ``checks``, each with ``name``, ``ok`` and ``detail``, and ``metrics``: seconds,
        bytes and megabytes by name.

    Raises:
        DataError: The process died.
    """
    arguments = [str(Path(__file__).parents[1]), os.fspath(path)]
    arguments += [only] if only else []
    done = subprocess.run(
        # Isolated: the working folder and Python's variables have no influence.
        [sys.executable, "-I", "-c", _PROGRAM, *arguments],
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
