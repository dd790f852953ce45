"""The flags that say how cells are drawn, which several commands have."""


def add_drawing_flags(parser) -> None:
    """Adds the flags."""
    parser.add_argument("--temperature", type=float, default=1.0, help="above 0")
    parser.add_argument(
        "--top_p", type=float, default=1.0, help="above 0, at most 1 (off)"
    )
    parser.add_argument("--guidance", type=float, default=0.0, help="from 0 (off) on")


def drawing_flags(args) -> dict[str, float]:
    """Returns the flags' values by name."""
    return {x: getattr(args, x) for x in ("temperature", "top_p", "guidance")}
