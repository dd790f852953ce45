"""Measures the models of a workdir and writes a report to look at.

  python -m tfvqgen evaluate --workdir runs/first --data_dir shards

The report is one page, index.html, that needs nothing but itself: reconstructions,
generated cells beside real ones of the same labels, learning curves, and in words
whether both levels of the autoencoder and both priors carry their share. Everything in
it that is a number is in metrics.json beside it, with n, seed and 95 % interval.

The models are judged on crops that they were not trained on: --split test by default.
(The validation split has chosen the priors' weights; train shows what is learnt by
heart.) Each drawn cell is asked for with the labels of one of these crops, every label
in its turn: with as many samples as the split has crops, generated and real cells have
the same labels. More samples make the intervals narrower; each costs what `sample`
takes for it.

The same command writes the same report.
"""

from tfvqgen.command_line import import_tensorflow


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--workdir", required=True, help="with all stages trained")
    parser.add_argument(
        "--data_dir", required=True, help="the shards that it was trained on"
    )
    parser.add_argument("--split", default="test", help="whose crops to judge on")
    parser.add_argument("--num_samples", type=int, default=256, help="cells to draw")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first cell, and of every choice"
    )
    parser.add_argument("--output", help="a folder (<workdir>/report if not given)")


def run(args) -> None:
    """Runs the command."""
    import_tensorflow()
    from tfvqgen.evaluation.evaluate import Settings, evaluate

    settings = Settings(
        workdir=args.workdir,
        data_dir=args.data_dir,
        split=args.split,
        num_samples=args.num_samples,
        seed=args.seed,
        output=args.output,
    )
    print(f"report: {evaluate(settings)}")
