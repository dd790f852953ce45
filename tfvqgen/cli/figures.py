"""Draws four figures: reconstructions, generated cells, real ones, confusions.

  python -m tfvqgen figures --workdir runs/first --data_dir shards

leaves in <workdir>/figures, or --output:

  figure1_reconstructions.png   crops that the model was not trained on, each above what
                                comes back from its codes
  figure2_generated.png         generated cells, a row a localization
  figure3_originals.png         real cells, the same rows
  figure4_confusions.png        what was asked for by what a classifier recognises, and
                                the same of real crops; left out where there are
                                no crops with labels for the classifier

Each has its caption in the picture. The classifier learns from the validation split,
which has trained nothing else; it takes minutes, is kept in <workdir>/classifiers, and
is found again by this command and by `evaluate`. The cells that were drawn stay in
cells/ beside the figures: the same command does not draw them again.
"""

from tfvqgen.cli.classifier import add_classifier_flag
from tfvqgen.cli.drawing import add_drawing_flags, drawing_flags
from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--workdir", required=True, help="with all stages trained")
    parser.add_argument(
        "--data_dir", required=True, help="the shards that it was trained on"
    )
    parser.add_argument("--output", help="a folder (<workdir>/figures if not given)")
    parser.add_argument("--split", default="test", help="whose crops are shown")
    parser.add_argument(
        "--num_per_label", type=int, default=16, help="cells drawn; 8 are shown"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first cell, and of every choice"
    )
    add_drawing_flags(parser)
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
        drawing=SamplingParameters(**drawing_flags(args)),
    )
    for path in write_figures(settings, classifier):
        print(f"figure: {path}")
