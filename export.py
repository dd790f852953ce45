"""Exports trained models for TensorFlow Serving.

  python export.py --workdir=runs/first --export_dir=runs/first/export

writes <export_dir>/1, next time <export_dir>/2, and so on: a SavedModel that draws,
completes, reconstructs and judges cells by itself, without Keras and without this
project, with its vocabulary, channels, credit and model card as assets. A server that
watches <export_dir> loads a version when it appears, which it does whole, after it was
loaded and asked once here. Nothing that is there is overwritten.

Look at <export_dir>/<version>/assets/model_card.md before you share it; check it with
`python -m tfvqgen verify --model=<export_dir>`; draw cells from it with `python -m
tfvqgen sample --model=<export_dir>`. All stages must be trained (train.py).
"""

from absl import flags

from tfvqgen.command_line import STARTS_OVER, import_tensorflow, run_with_flags

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of train.py.", required=True)
_EXPORT_DIR = flags.DEFINE_string(
    "export_dir", None, "Folder of versions; made if need be.", required=True
)
_VERSION = flags.DEFINE_integer(
    "version", None, "Number of the new version; default: one more than the largest."
)


def main() -> None:
    """Exports what the flags say."""
    import_tensorflow()
    from tfvqgen.export.export import export

    made = export(_WORKDIR.value, _EXPORT_DIR.value, _VERSION.value)
    print(f"exported: {made}")


if __name__ == "__main__":
    run_with_flags(main, interrupted=STARTS_OVER)
