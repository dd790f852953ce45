"""What every command of the project does the same way.

A user's mistake is one line on stderr and exit status 2; an interruption says how to go
on; TensorFlow's start-up chatter stays out of the way.
"""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

from absl import app, flags, logging
from absl.flags import argparse_flags

from tfvqgen.errors import UserError

USER_ERROR = 2
INTERRUPTED = 128 + signal.SIGINT


def run_with_flags(main: Callable[[], None]) -> None:
    """Parses absl flags and runs `main()` under :func:`guard`; never returns."""

    def parse(argv: list[str]) -> list[str]:
        try:
            rest = flags.FLAGS(argv)
        except flags.Error as error:
            _fail(str(error))
        if rest[1:]:
            _fail(f"unknown argument: expected --flags only. Received: {rest[1]!r}")
        return rest

    def guarded(_argv: list[str]) -> None:
        with guard():
            main()

    app.run(guarded, flags_parser=parse)


def run_subcommand(
    prog: str, description: str, commands: Mapping[str, ModuleType]
) -> None:
    """Parses ``<prog> <command> --flags`` and runs the command; never returns.

    Args:
        prog: How the user starts it, e.g. ``python -m data_prep``.
        description: What ``--help`` says first.
        commands: From a command's name to a module with a docstring (its help, of which
            the first line stands in the list of commands), ``add_flags(parser)`` and
            ``run(args)``. The module imports what is heavy inside ``run``.
    """
    parser = _Parser(prog=prog, description=description)
    parsers = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, module in commands.items():
        text = module.__doc__ or ""
        subparser = parsers.add_parser(
            name,
            help=text.strip().splitlines()[0],
            description=text,
            formatter_class=_HelpFormatter,
        )
        module.add_flags(subparser)
        subparser.set_defaults(run=module.run)

    def main(args) -> None:
        with guard():
            args.run(args)

    app.run(main, flags_parser=lambda argv: parser.parse_args(argv[1:]))


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """Turns a mistake, a full disk and Ctrl-C into one line and an exit status."""
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    except UserError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command again to go on", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno is None:
            raise
        name = f": {error.filename}" if error.filename else ""
        _fail(f"{error.strerror}{name}")


def import_tensorflow() -> ModuleType:
    """Imports TensorFlow without its start-up chatter.

    ``TF_CPP_MIN_LOG_LEVEL`` silences what is logged once logging is set up; the lines
    before that are held back and shown only if the import fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_held_back():
        import tensorflow
    return tensorflow


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _fail(message: str) -> None:
    line = " ".join(message.split())
    print(f"error: {line}", file=sys.stderr)
    sys.exit(USER_ERROR)


class _HelpFormatter(
    argparse_flags.argparse.ArgumentDefaultsHelpFormatter,
    argparse_flags.argparse.RawDescriptionHelpFormatter,
):
    """Keeps the description's lines and shows every flag's default."""


class _Parser(argparse_flags.ArgumentParser):
    """Says what is wrong with the flags in one line."""

    def __init__(self, **kwargs):
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> None:
        _fail(f"{message} (see {self.prog} --help)")
