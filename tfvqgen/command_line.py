"""What all commands share: flags, errors, interruptions and the import of TensorFlow.

A user's mistake ends with one line on stderr and exit status 2. Messages of argparse
and absl stay as they are. An interruption removes temporary files and ends with a line
about how to continue.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import NoReturn

from absl import app, flags, logging

from tfvqgen.errors import UserError

# The last words of an interrupted command.
GOES_ON = "run the same command again to continue"
STARTS_OVER = "no half-written file is left; run the same command again to start over"


def run_with_flags(command: ModuleType, argv: Sequence[str] | None = None) -> NoReturn:
    """Parses absl flags and runs a command; see :func:`run_subcommand`.

    `argv` is the name of the program and its flags. Defaults to ``sys.argv``.
    """

    def parse(argv: list[str]) -> list[str]:
        command.define_flags()
        if {"-h", "--help", "-help", "--helpshort"}.intersection(argv[1:]):
            help_of_flags = flags.FLAGS.module_help(command.__name__)
            print(f"{command.__doc__}\nflags:\n{help_of_flags}")
            sys.exit(0)
        try:
            unparsed = flags.FLAGS(argv)[1:]
        except flags.Error as error:
            _fail(str(error))
        if unparsed:
            _fail(f"unknown argument: expected --flag=value. Received: {unparsed[0]}")
        return argv

    def main(_argv: list[str]) -> None:
        with guard(getattr(command, "INTERRUPTED", STARTS_OVER)):
            command.run()

    app.run(main, list(argv or sys.argv), flags_parser=parse)


def run_subcommand(
    prog: str, description: str, commands: Mapping[str, ModuleType]
) -> NoReturn:
    """Parses ``<prog> <command> --flags`` and runs the command.

    Args:
        prog: Name of the program, e.g. ``tfvqgen``.
        description: The first lines of ``--help``.
        commands: The module of each command. Its docstring is the help, whose first
            line stands in the list of commands. It has ``add_flags(parser)`` and
            ``run(args)`` for flags of argparse, or ``define_flags()`` and ``run()`` for
            flags of absl; ``run`` imports large libraries. ``INTERRUPTED`` is GOES_ON
            or STARTS_OVER (the default).
    """
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if hasattr(commands.get(name), "define_flags"):
        run_with_flags(commands[name], [f"{prog} {name}", *sys.argv[2:]])
    args = subcommand_parser(prog, description, commands).parse_args()
    command = commands[args.command]
    with guard(getattr(command, "INTERRUPTED", STARTS_OVER)):
        command.run(args)
    sys.exit(0)


def subcommand_parser(
    prog: str, description: str, commands: Mapping[str, ModuleType]
) -> argparse.ArgumentParser:
    """Returns the parser of :func:`run_subcommand`."""
    parser = argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=HelpFormatter
    )
    parsers = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, module in commands.items():
        text = module.__doc__ or ""
        subparser = parsers.add_parser(
            name,
            help=text.strip().splitlines()[0],
            description=text,
            formatter_class=HelpFormatter,
            allow_abbrev=False,
        )
        if hasattr(module, "add_flags"):
            module.add_flags(subparser)
    return parser


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description and shows the defaults of flags."""

    def _get_help_string(self, action):
        default = action.default
        if "%(default)s" in action.help:
            return action.help
        if default is None or default is False or default in ("", [], "==SUPPRESS=="):
            return action.help
        return f"{action.help} Default: %(default)s."


@contextlib.contextmanager
def guard(interrupted: str = STARTS_OVER) -> Iterator[None]:
    """Ends the process with one line and an exit status instead of a traceback.

    A UserError and an OSError end with status 2; Ctrl-C and SIGTERM with 128 plus the
    number of the signal. SIGTERM unwinds the body as Ctrl-C does, so that temporary
    files are removed; a second one ends the process at once. `interrupted` says how to
    continue after an interruption.
    """

    def terminate(number, _frame):
        signal.signal(number, previous)
        raise _Terminated

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except UserError as error:
        _fail(str(error))
    except KeyboardInterrupt as error:
        terminated = isinstance(error, _Terminated)
        # The terminal has written ^C on the line.
        start = "\n" if sys.stderr.isatty() else ""
        word = "terminated" if terminated else "interrupted"
        print(f"{start}{word}; {interrupted}", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if terminated else signal.SIGINT))
    except BrokenPipeError:
        # The reader of a pipe has ended, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.strerror is None:
            raise
        name = error.filename
        _fail(error.strerror + ("" if name is None else f": {os.fsdecode(name)}"))
    finally:
        signal.signal(signal.SIGTERM, previous)


def import_tensorflow() -> ModuleType:
    """Imports TensorFlow without its start-up messages, unless the import fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Before logging is set up, lines ignore this level: they are held back.
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            import tensorflow
        except Exception:
            held_back.seek(0)
            os.write(stderr, held_back.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    tensorflow.get_logger().setLevel("ERROR")
    # TensorFlow reports the steps of an export at the level INFO.
    logging.set_verbosity(logging.WARNING)
    return tensorflow


class _Terminated(KeyboardInterrupt):
    """The process received SIGTERM."""


def _fail(message: str) -> NoReturn:
    line = " ".join(message.split())
    # Names in files of other people must not control the terminal.
    line = "".join(x if x.isprintable() else ascii(x)[1:-1] for x in line)
    print(f"error: {line}", file=sys.stderr)
    sys.exit(2)
