"""``python -m tfvqgen <command> --flags``."""

from tfvqgen.command_line import run_subcommand


def main() -> None:
    """Runs the command that the command line names."""
    from tfvqgen.commands import sample

    run_subcommand(
        "python -m tfvqgen",
        "Uses trained models: draws cells, exports are checked and served.",
        {"sample": sample},
    )


if __name__ == "__main__":
    main()
