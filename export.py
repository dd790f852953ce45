"""Exports trained models for TensorFlow Serving.

  python export.py --workdir=runs/first --export_dir=runs/first/export

The command writes <export_dir>/1, the next time <export_dir>/2, and so on: a SavedModel
that generates, completes, reconstructs and scores cells without Keras and without this
project, with its vocabulary, channels, credit and model card as assets. A version
appears only when it is complete and has been loaded and tested, so that a server may
watch <export_dir>. Existing versions are never overwritten.

Read <export_dir>/<version>/assets/model_card.md before you share the model. Check it
with `python -m tfvqgen verify --model=<export_dir>` and generate cells with `python -m
tfvqgen sample --model=<export_dir>`. All stages must be trained (train.py).
"""

from absl import flags

from tfvqgen.command_line import STARTS_OVER, import_tensorflow, run_with_flags

_WORKDIR = flags.DEFINE_string("workdir", None, "Workdir of train.py.", required=True)
_EXPORT_DIR = flags.DEFINE_string(
    "export_dir", None, "Folder of versions; it is created if needed.", required=True
)
_VERSION = flags.DEFINE_integer(
    "version", None, "Number of the new version. Defaults to one more than the largest."
)


def main() -> None:
    """Exports what the flags say."""
    import_tensorflow()
    from tfvqgen.export.export import export

    made = export(_WORKDIR.value, _EXPORT_DIR.value, _VERSION.value)
    print(f"exported: {made}")


if __name__ == "__main__":
    run_with_flags(main, interrupted=STARTS_OVER)
