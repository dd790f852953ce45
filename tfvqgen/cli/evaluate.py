"""Measures the models of a workdir and writes a report to look at.

  python -m tfvqgen evaluate --workdir runs/first --data_dir shards

The report is one page, index.html, that needs nothing but itself: reconstructions,
generated cells beside real ones of the same labels, how far apart both are, whether
cells of the training data are repeated, whether cells show the labels that were asked
for, learning curves, and in words whether both levels of the autoencoder and both
priors carry their share. Everything in it that is a number is in metrics.json beside
it, with n, seed and 95 % interval.

The models are judged on crops that they were not trained on: --split test by default.
(The validation split has chosen the priors' weights; train shows what is learnt by
heart.) Each drawn cell is asked for with the labels of one of these crops, every label
in its turn: with as many samples as the split has crops, generated and real cells have
the same labels. More samples make the intervals narrower; each costs what `sample`
takes for it. They are kept in cells/ beside the report and not drawn twice; remove
that folder when the report is done with.

Distances are between features, which --extractor finds; it may be repeated:
  classifier   the localization classifier that judges labels as well. It is trained
               here, once, on the validation split, of which the generator has learnt
               nothing, and kept in the workdir.
  random       a network that has learnt nothing, as a control.
  NAME=FOLDER  any SavedModel whose signature serving_default takes images [batch,
               height, width, channels] (uint8, uint16, or float32 from 0 to 1) and
               returns one tensor [batch, features]. Only inception=FOLDER is called
               FID. A SavedModel is a program: use only those of people you trust.
All of them need many real crops that nothing was trained on. To measure well, give
`python -m data_prep shard` --splits train=0.6,validation=0.2,test=0.2.

With --keep_best .5 twice as many cells are drawn, and those kept that a classifier of
its own, not the judge, finds most like their labels. With --classification_score
classifiers are trained on generated cells alone and tested on real ones, which takes
long.

The same command writes the same report. It needs the extra `evaluate` (`prep` has what
is in it).
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
    parser.add_argument("--split", default="test", help="whose crops to judge on")
    parser.add_argument("--num_samples", type=int, default=256, help="cells to measure")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first cell, and of every choice"
    )
    add_drawing_flags(parser)
    parser.add_argument(
        "--keep_best",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the drawn cells to keep, by a second classifier, .01 to 1 (all)",
    )
    parser.add_argument(
        "--extractor",
        action="append",
        metavar="NAME",
        help="of features; repeat it for several (if not given random, and the "
        "classifier if there are crops for it)",
    )
    parser.add_argument(
        "--classification_score",
        action="store_true",
        help="train classifiers on generated cells too",
    )
    add_classifier_flag(parser)
    parser.add_argument("--output", help="a folder (<workdir>/report if not given)")


def run(args) -> None:
    """Runs the command."""
    import_tensorflow()
    from tfvqgen.evaluation.evaluate import evaluate
    from tfvqgen.evaluation.settings import Settings, classifier_config
    from tfvqgen.generation.request import SamplingParameters

    settings = Settings(
        workdir=args.workdir,
        data_dir=args.data_dir,
        split=args.split,
        num_samples=args.num_samples,
        seed=args.seed,
        drawing=SamplingParameters(**drawing_flags(args)),
        keep_best=args.keep_best,
        extractors=tuple(args.extractor or ()),
        classification_score=args.classification_score,
        classifier=classifier_config(args.classifier_steps),
        output=args.output,
    )
    print(f"report: {evaluate(settings)}")
