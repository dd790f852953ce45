"""Writes four figures: reconstructions, generated cells, real cells, confusions.

  python -m tfvqgen figures --workdir runs/first --data_dir shards

The files in <workdir>/figures (or --output), each with its caption, are:

  figure1_reconstructions.png   crops of --split above their reconstructions
  figure2_generated.png         generated cells, one row for each localization
  figure3_originals.png         real cells, the same rows
  figure4_confusions.png        confusion matrix of an evaluation classifier for
                                generated and for real cells, if there are labelled
                                crops to train it

The classifier is trained on the validation split, which takes minutes, and is used
again by this command and by `evaluate`. The command needs the extra `evaluate`.
"""

from tfvqgen.cli.evaluate import add_shared_flags, shared_settings
from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    add_shared_flags(parser, folder="figures")
    text = "Number of cells generated for each label; 8 are shown."
    parser.add_argument("--num_per_label", type=int, default=16, help=text)


def run(args) -> None:
    import_tensorflow()
    from tfvqgen.evaluation.figures import write_figures
    from tfvqgen.evaluation.settings import FigureSettings

    settings = FigureSettings(**shared_settings(args), num_per_label=args.num_per_label)
    for path in write_figures(settings):
        print(f"figure: {path}")
