#!/usr/bin/env bash
# Apache Beam 2.77.0: on Dask a pipeline that ends in WriteToText leaves an empty file
#
# Software: apache-beam 2.77.0 with dask and distributed 2024.12.1.
# Behaviour: the pipeline Create | WriteToText, run by DaskRunner, finishes without an
#   error and leaves a file of the final name, cells-00000-of-00001, that has no line.
#   The lines are in temporary folders beside it. The DirectRunner writes all lines.
# Expected: the same lines, or an error that the runner cannot do this. The runner comes
#   with Beam and is documented to run pipelines; the write is Beam's own.
# Consequence: a table of cells or a list of crops is lost in silence. The name of the
#   file is that of a finished shard, so that what comes next sees a complete result of
#   zero cells, and thinks that nothing was found in the images.
# Way around: DirectRunner with several workers, or write in a step of one's own and
#   count what was written.
# Output seen:
#   DirectRunner [('cells-00000-of-00001', 5)]
#   DaskRunner   [('cells-00000-of-00001', 0)]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile --disable-pip-version-check \
    apache-beam==2.77.0 dask==2024.12.1 distributed==2024.12.1
cd "$work"
cat > pipeline.py <<'EOF'
import logging
import pathlib

import apache_beam as beam
from apache_beam.runners.dask.dask_runner import DaskRunner
from apache_beam.runners.direct.direct_runner import DirectRunner


def lines_of(runner):
    """Returns the names of the files that a pipeline leaves, and their lines."""
    folder = pathlib.Path(type(runner).__name__)
    folder.mkdir()
    with beam.Pipeline(runner=runner) as pipeline:
        cells = pipeline | beam.Create([f"cell {number}" for number in range(5)])
        _ = cells | beam.io.WriteToText(str(folder / "cells"))
    found = sorted(folder.glob("cells*"))
    return [(file.name, len(file.read_text().splitlines())) for file in found]


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    direct, dask = lines_of(DirectRunner()), lines_of(DaskRunner())
    print("DirectRunner", direct)
    print("DaskRunner  ", dask)
    assert direct == [("cells-00000-of-00001", 5)], "changed: DirectRunner"
    assert dask == [("cells-00000-of-00001", 0)], "changed: DaskRunner"
EOF
export DASK_DISTRIBUTED__LOGGING__DISTRIBUTED=critical
"$work/venv/bin/python" -W ignore pipeline.py
