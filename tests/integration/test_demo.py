import os
import shutil
import subprocess
import sys

import pytest

from tests import support

TINY = (
    "--set=vqvae.hidden=8",
    "--set=vqvae.residual_width=4",
    "--set=vqvae.num_embeddings=16",
    "--set=vqvae.quantize_after=2",
    "--set=top.width=8",
    "--set=top.blocks=1",
    "--set=bottom.width=8",
    "--set=bottom.blocks=1",
    "--set=vqvae.log_every=4",
    "--steps=8",
)


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_demo_leaves_what_it_promises_and_goes_on_when_run_again(tmp_path):
    demo = tmp_path / "demo"
    installed = f"{sys.prefix}/.installed"
    command = [
        "make",
        "demo",
        f"--old-file={installed}",
        f"VENV={sys.prefix}",
        f"DEMO_DIR={demo}",
        "DEMO_CELLS=80",
        f"DEMO_FLAGS={' '.join(TINY)}",
        "REPORT_FLAGS=--num_samples=24 --classifier_steps=4",
    ]
    environment = {k: v for k, v in os.environ.items() if k != "MAKEFLAGS"}
    first = subprocess.run(
        command, cwd=support.ROOT, env=environment, capture_output=True, text=True
    )
    assert first.returncode == 0, first.stderr
    for path in (
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
    ):
        assert (demo / path).is_file(), path
    assert str(demo / "samples.png") in first.stdout
    assert "Traceback" not in first.stderr and "oneDNN" not in first.stderr
    kept = ("workdir", "export", "cells", "report")
    before = [support.digest_of_folder(demo / name) for name in kept]
    again = subprocess.run(
        command, cwd=support.ROOT, env=environment, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert "vqvae: done already" in again.stdout
    assert [support.digest_of_folder(demo / name) for name in kept] == before
