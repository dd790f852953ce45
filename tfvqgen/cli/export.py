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

from tfvqgen.command_line import import_tensorflow


def define_flags() -> None:
    text = "Workdir of train.py. Required."
    flags.DEFINE_string("workdir", None, text, required=True)
    text = "Folder of versions; it is created if needed."
    flags.DEFINE_string("export_dir", None, text, required=True)
    text = "Number of the new version. Defaults to one more than the largest."
    flags.DEFINE_integer("version", None, text)


def run() -> None:
    import_tensorflow()
    from tfvqgen.export.export import export

    values = flags.FLAGS
    made = export(values.workdir, values.export_dir, values.version)
    print(f"exported: {made}")
