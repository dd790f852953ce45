"""The flag of commands that train an evaluation classifier."""


def add_classifier_flag(parser) -> None:
    """Adds --classifier_steps."""
    parser.add_argument(
        "--classifier_steps",
        type=int,
        default=None,
        help="Training steps of each evaluation classifier. Defaults to the "
        "classifier's own configuration.",
    )
