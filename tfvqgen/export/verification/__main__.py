"""Checks an export; prints a JSON object.

    python -I <this folder> <export> [--warm_up | --times]

Keras and this project cannot be imported here. Each check is an object with ``name``,
``ok`` and ``detail``; ``figures`` are seconds, bytes and megabytes. With ``--warm_up``
the export is loaded and its warm-up requests replayed, and no more; with ``--times`` it
is loaded, asked for some cells and measured.
"""

import json
import os
import sys

ABSENT = ("keras", "tf_keras", "tensorflow_probability", "tfvqgen", "data_prep")


def main() -> None:
    """Runs as the module's documentation says."""
    # A module that is None cannot be imported.
    sys.modules.update(dict.fromkeys(ABSENT))
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from verification import Verification

    verification = Verification(sys.argv[1])
    verification.run(sys.argv[2:])
    found = {"checks": verification.checks, "figures": verification.figures}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
