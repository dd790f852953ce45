"""Writes four figures: reconstructions, generated cells, real cells, confusions.

  python -m tfvqgen figures --workdir runs/first --data_dir shards

The files in <workdir>/figures (or --output) are:

  figure1_reconstructions.png   crops that the model was not trained on, above their
                                reconstructions
  figure2_generated.png         generated cells, one row for each localization
  figure3_originals.png         real cells, the same rows
  figure4_confusions.png        confusion matrix of an evaluation classifier for
                                generated and for real cells; left out if there are
                                no labelled crops to train the classifier

Each image contains its caption. The classifier is trained on the validation split,
which no other stage uses for training. It takes minutes, is kept in
<workdir>/classifiers, and is used again by this command and by `evaluate`. The
generated cells stay in cells/ beside the figures and are not generated again by the
same command.
"""

from tfvqgen.cli.classifier import add_classifier_flag
from tfvqgen.cli.sample import add_sampling_flags, sampling_flags
from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument(
        "--workdir", required=True, help="Workdir with all stages trained."
    )
    parser.add_argument(
        "--data_dir",
        required=True,
        help="Folder of the shards on which it was trained.",
    )
    parser.add_argument(
        "--output", help="Output folder. Defaults to <workdir>/figures."
    )
    parser.add_argument(
        "--split", default="test", help="Split of the real crops that are shown."
    )
    parser.add_argument(
        "--num_per_label",
        type=int,
        default=16,
        help="Number of cells generated for each label; 8 are shown.",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="Seed of the first cell, and random seed of all selections.",
    )
    add_sampling_flags(parser)
    add_classifier_flag(parser)


def run(args) -> None:
    """Runs the command."""
    import_tensorflow()
    from tfvqgen.evaluation.figures.figures import write_figures
    from tfvqgen.evaluation.figures.settings import Settings
    from tfvqgen.evaluation.settings import classifier_config
    from tfvqgen.generation.request import SamplingParameters

    classifier = classifier_config(args.classifier_steps)
    settings = Settings(
        workdir=args.workdir,
        data_dir=args.data_dir,
        output=args.output,
        split=args.split,
        num_per_label=args.num_per_label,
        seed=args.seed,
        drawing=SamplingParameters(**sampling_flags(args)),
    )
    for path in write_figures(settings, classifier):
        print(f"figure: {path}")
