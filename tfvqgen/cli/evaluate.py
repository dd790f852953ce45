"""Measures a trained model and writes a report.

  python -m tfvqgen evaluate --workdir runs/first --data_dir shards

The report is one page, index.html, which needs no other file: reconstructions,
generated cells beside real cells of the same labels, distances between both, near
copies of training cells, recognized labels, learning curves, and statements on whether
both levels of the autoencoder and both priors contribute. All numbers are in
metrics.json beside it, with n, seed and 95 % interval.

The crops for the measurements were not used for training: they are those of --split
test by default. (The validation split selected the weights of the priors; train shows
memorisation.) Each generated cell has the labels of one of these crops, and every label
occurs in turn: with as many samples as the split has crops, generated and real cells
have the same labels. More samples make the intervals narrower and take longer. The
cells are kept in cells/ beside the report and are not generated again; remove this
folder when the report is finished.

Distances are between features of --extractor, which may be repeated:

  classifier   the localization classifier that also recognizes labels. It is trained
               once, on the validation split, from which the generator has learnt
               nothing,
               and kept in the workdir.
  random       a network with random weights, as a control.
  NAME=FOLDER  any SavedModel whose signature serving_default takes images [batch,
               height, width, channels] (uint8, uint16, or float32 from 0 to 1) and
               returns one tensor [batch, features]. Only inception=FOLDER is called
               FID. A SavedModel is a program: use only models of people you trust.

All of them need many real crops that nothing was trained on. For good measurements use
`python -m data_prep shard` with --splits train=0.6,validation=0.2,test=0.2.

With --keep_best 0.5 twice as many cells are generated, and a rejection classifier,
which is not the evaluation classifier, keeps the half that it recognizes best. With
--classification_score classifiers are trained on generated cells only and tested on
real ones, which takes long.

The same command writes the same report. It needs the extra `evaluate` (which is part of
`prep`).
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
        "--split",
        default="test",
        help="Split whose real crops are compared with generated cells.",
    )
    parser.add_argument(
        "--num_samples", type=int, default=256, help="Number of generated cells."
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="Seed of the first cell, and random seed of all selections.",
    )
    add_sampling_flags(parser)
    parser.add_argument(
        "--keep_best",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="Share of the generated cells that the rejection classifier "
        "keeps, from 0.01 to 1; 1 keeps all.",
    )
    parser.add_argument(
        "--extractor",
        action="append",
        metavar="NAME",
        help="Feature extractor; may be repeated. Defaults to random and, if "
        "there are crops to train it, classifier.",
    )
    parser.add_argument(
        "--classification_score",
        action="store_true",
        help="Compute the classification accuracy score: train classifiers on "
        "generated cells.",
    )
    add_classifier_flag(parser)
    parser.add_argument("--output", help="Output folder. Defaults to <workdir>/report.")


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
        drawing=SamplingParameters(**sampling_flags(args)),
        keep_best=args.keep_best,
        extractors=tuple(args.extractor or ()),
        classification_score=args.classification_score,
        classifier=classifier_config(args.classifier_steps),
        output=args.output,
    )
    print(f"report: {evaluate(settings)}")
