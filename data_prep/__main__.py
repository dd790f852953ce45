"""The program ``tfvqgen-data <command> --flags``, also ``python -m data_prep``."""

from data_prep.commands import crop, download, embed, inspect, screen, shard, synthesize
from tfvqgen.command_line import run_subcommand


def main() -> None:
    """Runs the command that the command line names."""
    run_subcommand(
        "tfvqgen-data",
        "Prepares images of cells: from fields of view to the shards for training.",
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
