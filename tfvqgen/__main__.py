"""``python -m tfvqgen <command> --flags``."""

from tfvqgen.command_line import run_subcommand


def main() -> None:
    """Runs the command that the command line names."""
    from tfvqgen.commands import request, sample, verify

    run_subcommand(
        "python -m tfvqgen",
        "Uses trained models: draws cells, exports are checked and served.",
        {"sample": sample, "verify": verify, "request": request},
    )


if __name__ == "__main__":
    main()
