"""The flag of the commands that train a localization classifier."""


def add_classifier_flag(parser) -> None:
    """Adds --classifier_steps."""
    parser.add_argument(
        "--classifier_steps",
        type=int,
        default=None,
        help="training steps of each classifier (its own default if not given)",
    )
