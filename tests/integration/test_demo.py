import os
import shutil
import subprocess
import sys

import pytest

from tests import support

# Two steps of the smallest models, with 4 x 4 top and 8 x 8 bottom codes: the time is
# that of starting processes and tracing graphs, so there are as few layers as possible.
KEYS = (
    "vqvae.bottom_stride=8",
    "vqvae.hidden=8",
    "vqvae.residual_layers=0",
    "vqvae.num_embeddings=16",
    "vqvae.quantize_after=1",
    "vqvae.texture_noise_weight=0",
    "vqvae.log_every=2",
    "codes.symmetries=1",
    *(
        f"{level}.{key}"
        for level in ("top", "bottom")
        for key in (
            *("width=8", "blocks=1", "layers=1", "attention=false", "output_layers=0"),
            *("condition_layers=0", "dropout=0", "label_dropout=0"),
        )
    ),
)
FLAGS = " ".join(["--steps=2", *(f"--set={key}" for key in KEYS)])
# What `make demo` promises to leave.
FILES = (
    "crops/crops.csv",
    "shards/dataset.json",
    "shards/contact_sheet.png",
    "workdir/config.json",
    "workdir/vqvae/metrics.jsonl",
    "workdir/vqvae/reconstructions.png",
    "workdir/codes/codes.json",
    "workdir/top/metrics.jsonl",
    "workdir/bottom/samples.png",
    "export/1/saved_model.pb",
    "cells/samples.csv",
    "samples.png",
    "report/index.html",
    "report/metrics.json",
)


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_demo_writes_all_its_files(tmp_path):
    demo = tmp_path / "demo"
    command = [
        *("make", "demo", f"--old-file={sys.prefix}/.installed", f"VENV={sys.prefix}"),
        *(f"DEMO_DIR={demo}", "DEMO_CELLS=60", f"DEMO_FLAGS={FLAGS}"),
        "REPORT_FLAGS=--num_samples=16 --classifier_steps=1 --extractor=random",
    ]
    environment = {k: v for k, v in os.environ.items() if k != "MAKEFLAGS"}
    done = subprocess.run(
        command, cwd=support.ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for path in FILES:
        assert (demo / path).is_file(), path
    assert str(demo / "samples.png") in done.stdout
    assert "Traceback" not in done.stderr and "oneDNN" not in done.stderr
