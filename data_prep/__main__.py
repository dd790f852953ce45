"""``python -m data_prep <command> --flags``."""

from tfvqgen.command_line import guard, run_subcommand


def main() -> None:
    """Runs the command that the command line names."""
    with guard():
        from data_prep.commands import (
            crop,
            download,
            embed,
            inspect,
            screen,
            shard,
            synthesize,
        )

    run_subcommand(
        "python -m data_prep",
        "Prepares data: from images of cells to the shards that training reads.",
        {
            "synthesize": synthesize,
            "download": download,
            "crop": crop,
            "embed": embed,
            "screen": screen,
            "shard": shard,
            "inspect": inspect,
        },
    )


if __name__ == "__main__":
    main()
