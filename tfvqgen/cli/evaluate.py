"""Evaluates the models of a workdir and writes a report.

  python -m tfvqgen evaluate --workdir runs/first --data_dir shards

The report is one page, index.html, which needs no other file: reconstructions,
generated cells beside real cells of the same labels, distances between both, near
copies of training cells, recognized labels and learning curves. All numbers are in
metrics.json beside it, with n, seed and 95 % interval. Generated cells are kept in
cells/ beside it; remove this folder when the report is finished.

The models are evaluated on crops that were not used for training, by default those of
the split test. For good measurements use `python -m data_prep shard` with
--splits train=0.6,validation=0.2,test=0.2. Each generated cell has the labels of one of
these crops. More samples make the intervals narrower and take longer.

Distances are between features of --extractor, which may be repeated:

  classifier   the localization classifier that also recognizes labels; it is trained
               once, on the validation split
  random       a network with random weights, as a control
  NAME=FOLDER  a SavedModel whose signature serving_default takes images [batch,
               height, width, channels] (uint8, uint16, or float32 from 0 to 1) and
               returns one tensor [batch, features]. Only inception=FOLDER is called
               FID. A SavedModel is a program: use only models of people you trust.

With --keep_best 0.5 twice as many cells are generated, and a rejection classifier keeps
the half that it recognizes best. The command needs the extra `evaluate`.
"""

from tfvqgen.cli.sample import add_sampling_flags, sampling_flags
from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    add_shared_flags(parser, folder="report")
    add = parser.add_argument
    text = "Number of generated cells in the comparison."
    add("--num_samples", type=int, default=256, help=text)
    add(
        "--keep_best",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="Share of the generated cells that the rejection classifier keeps, from "
        "0.01 to 1; 1 keeps all. --num_samples cells remain.",
    )
    add(
        "--extractor",
        action="append",
        metavar="NAME",
        help="Feature extractor, see above. By default both classifier and random are "
        "used, or only random if there are no labelled crops for a classifier.",
    )
    text = "Also train classifiers on generated cells and test them on real crops."
    add("--classification_score", action="store_true", help=text)


def add_shared_flags(parser, *, folder: str) -> None:
    """Adds the flags that `evaluate` and `figures` share."""
    add = parser.add_argument
    add("--workdir", required=True, help="Workdir with all stages.")
    add("--data_dir", required=True, help="Folder of its shards.")
    add("--output", help=f"Output folder. Defaults to <workdir>/{folder}.")
    add("--split", default="test", help="Split of the real crops.")
    add(
        "--seed",
        type=int,
        default=0,
        help="Seed of the first generated cell, and random seed for the selection of "
        "crops and for resampling.",
    )
    add_sampling_flags(parser)
    text = "Number of training steps of each classifier. Defaults to 1500."
    add("--classifier_steps", type=int, help=text)


def shared_settings(args) -> dict:
    """Returns the settings that both commands share, from their flags."""
    from tfvqgen.evaluation.settings import classifier_config
    from tfvqgen.generation.request import SamplingParameters

    names = ("workdir", "data_dir", "output", "split", "seed")
    return {
        **{name: getattr(args, name) for name in names},
        "sampling": SamplingParameters(**sampling_flags(args)),
        "classifier": classifier_config(args.classifier_steps),
    }


def run(args) -> None:
    import_tensorflow()
    from tfvqgen.evaluation.evaluate import evaluate
    from tfvqgen.evaluation.settings import EvaluationSettings

    settings = EvaluationSettings(
        **shared_settings(args),
        num_samples=args.num_samples,
        keep_best=args.keep_best,
        extractors=tuple(args.extractor or ()),
        classification_score=args.classification_score,
    )
    print(f"report: {evaluate(settings)}")
