"""Checks an export; prints a JSON object.

    python -I <this folder> <export> [--warm_up | --times]

Keras and this project cannot be imported here, except the module that loads graphs. The
object has ``checks``, each with ``name``, ``ok`` and ``detail``, and ``metrics``:
seconds, bytes and megabytes. With ``--warm_up`` the export is only loaded and its
warm-up requests are replayed; with ``--times`` it is loaded and measured.
"""

import json
import os
import sys
from pathlib import Path

ABSENT = ("keras", "tf_keras", "tensorflow_probability", "tfvqgen", "data_prep")


def main() -> None:
    """Runs the checks of the command line."""
    # A module that is None cannot be imported.
    sys.modules.update(dict.fromkeys(ABSENT))
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # The loader is shared with tfvqgen.generation; it imports TensorFlow only.
    sys.path.append(str(Path(__file__).resolve().parents[2] / "generation"))
    from checks import Verification

    verification = Verification(sys.argv[1])
    verification.run(sys.argv[2:])
    found = {"checks": verification.checks, "metrics": verification.metrics}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
