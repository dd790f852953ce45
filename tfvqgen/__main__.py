"""The program ``tfvqgen <command> --flags``, also ``python -m tfvqgen``."""

from tfvqgen.cli import app, evaluate, export, figures, request, sample, train, verify
from tfvqgen.command_line import run_subcommand


def main() -> None:
    """Runs the command that the command line names."""
    run_subcommand(
        "tfvqgen",
        "Trains, exports, evaluates and runs generators of single-cell images.",
        {
            "train": train,
            "export": export,
            "sample": sample,
            "evaluate": evaluate,
            "figures": figures,
            "verify": verify,
            "request": request,
            "app": app,
        },
    )


if __name__ == "__main__":
    main()
