"""``python -m tfvqgen <command> --flags``."""

from tfvqgen.command_line import guard, run_subcommand


def main() -> None:
    """Runs the command that the command line names."""
    with guard():
        from tfvqgen.cli import app, evaluate, figures, request, sample, verify

    run_subcommand(
        "python -m tfvqgen",
        "Uses trained models: measures them, draws cells, checks and asks what serves.",
        {
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
