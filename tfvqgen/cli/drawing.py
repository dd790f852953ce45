"""The sampling parameters, which several commands have as flags."""


def add_drawing_flags(parser) -> None:
    """Adds the flags."""
    parser.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        help="Sampling temperature, above 0. Values below 1 give more typical "
        "and less varied cells.",
    )
    parser.add_argument(
        "--top_p",
        type=float,
        default=1.0,
        help="Nucleus sampling: share of the probability that is kept, above 0 "
        "and at most 1; 1 disables it.",
    )
    parser.add_argument(
        "--guidance",
        type=float,
        default=0.0,
        help="Guidance strength, 0 or more; 0 disables guidance. Larger values "
        "show the labels more clearly with less variety.",
    )


def drawing_flags(args) -> dict[str, float]:
    """Returns the flags' values by name."""
    return {x: getattr(args, x) for x in ("temperature", "top_p", "guidance")}
