"""What every command of the project does the same way.

A user's mistake is one line on stderr and exit status 2, in the words *what is wrong:
expected what. Received: what*; an interruption cleans up and says what the same command
does next; TensorFlow's start-up chatter stays out of the way.
"""

import contextlib
import difflib
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType

from absl import app, flags, logging
from absl.flags import argparse_flags

from tfvqgen.errors import UserError
from tfvqgen.sentences import absl_sentence, os_sentence

USER_ERROR = 2
# What the same command does when it is run again after an interruption.
GOES_ON = "run the same command again to go on"
STARTS_OVER = "nothing is half-written; run the same command again to start over"

_LONGEST_FLAG = 100
_LONGEST_LINE = 4000
_HELP = {"-h", "-help", "--help", "-?", "--?", "-helpshort", "--helpshort"}


def run_with_flags(main: Callable[[], None], *, interrupted: str = GOES_ON) -> None:
    """Parses absl flags and runs `main()` under :func:`guard`; never returns.

    Args:
        main: The program.
        interrupted: What it does when it is run again: GOES_ON or STARTS_OVER.
    """

    def guarded(_argv: list[str]) -> None:
        with guard(interrupted):
            main()

    app.run(guarded, flags_parser=parse_flags)


def parse_flags(argv: list[str]) -> list[str]:
    """Parses absl flags for ``app.run``; a mistake ends the process in a line."""
    if _HELP.intersection(argv[1:]):
        app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
    # absl would look for flags of like names, a step of recursion a letter.
    name = max((x.partition("=")[0] for x in argv[1:]), key=len, default="")
    if name.startswith("-") and len(name) > _LONGEST_FLAG:
        _fail(f"unknown flag: expected only known ones. Received: {name}")
    argv = [argv[0], *_plain_words(argv[1:])]
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        _fail(absl_sentence(error, argv))
    if rest[1:]:
        _fail(
            "an argument that is not a flag: expected only flags, as "
            f"--flag=value. Received: {rest[1]}"
        )
    return rest


def run_subcommand(
    prog: str, description: str, commands: Mapping[str, ModuleType]
) -> None:
    """Parses ``<prog> <command> --flags`` and runs the command; never returns.

    Args:
        prog: How the user starts it, e.g. ``python -m data_prep``.
        description: What ``--help`` says first.
        commands: From a command's name to a module with a docstring (its help, of which
            the first line stands in the list of commands), ``add_flags(parser)`` and
            ``run(args)``. The module imports what is heavy inside ``run``. It may have
            an attribute ``INTERRUPTED``, what the command does when it is run again
            (default: STARTS_OVER).
    """
    parser = subcommand_parser(prog, description, commands)

    def main(args) -> None:
        with guard(args.interrupted):
            args.run(args)

    app.run(main, flags_parser=lambda argv: parser.parse_args(argv[1:]))


def subcommand_parser(
    prog: str, description: str, commands: Mapping[str, ModuleType]
) -> "Parser":
    """Returns the parser of :func:`run_subcommand`."""
    parser = Parser(prog=prog, description=description)
    parsers = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, module in commands.items():
        text = module.__doc__ or ""
        subparser = parsers.add_parser(
            name, help=text.strip().splitlines()[0], description=text
        )
        module.add_flags(subparser)
        subparser.set_defaults(
            run=module.run, interrupted=getattr(module, "INTERRUPTED", STARTS_OVER)
        )
    return parser


@contextlib.contextmanager
def guard(interrupted: str = STARTS_OVER) -> Iterator[None]:
    """Turns a mistake, a full disk, Ctrl-C and SIGTERM into a line and an exit status.

    SIGTERM unwinds the body as Ctrl-C does, so that what it holds open is cleaned up; a
    second one ends the process at once.

    Args:
        interrupted: What the same command does when it is run again.
    """
    logging.set_verbosity(logging.WARNING)
    try:
        with _termination_raised():
            yield
    except UserError as error:
        _fail(str(error))
    except KeyboardInterrupt as error:
        word = "terminated" if isinstance(error, _Terminated) else "interrupted"
        # The terminal has written ^C on the line.
        start = "\n" if sys.stderr.isatty() else ""
        print(f"{start}{word}; {interrupted}", file=sys.stderr)
        number = signal.SIGTERM if word == "terminated" else signal.SIGINT
        sys.exit(128 + number)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno is None:
            raise
        _fail(os_sentence(error))


def import_tensorflow() -> ModuleType:
    """Imports TensorFlow without its start-up chatter.

    ``TF_CPP_MIN_LOG_LEVEL`` silences what is logged once logging is set up; the lines
    before that are held back and shown only if the import fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_held_back():
        import tensorflow
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


class Parser(argparse_flags.ArgumentParser):
    """Says what is wrong with the flags in one line, unknown ones first."""

    def __init__(self, **kwargs):
        kwargs.setdefault("formatter_class", _HelpFormatter)
        super().__init__(allow_abbrev=False, **kwargs)
        # Lists flags of absl's own, which nobody needs here.
        self._option_string_actions[
            "--helpfull"
        ].help = argparse_flags.argparse.SUPPRESS
        self._words: Sequence[str] = ()

    def parse_known_args(self, args=None, namespace=None):
        """Refuses unknown flags before it looks for missing ones."""
        self._words = _plain_words(sys.argv[1:] if args is None else args)
        known = {*self._option_string_actions, "--flagfile", "--undefok"}
        for word in self._words:
            is_flag = re.match(r"--?[A-Za-z]", word)
            # What follows a command is that command's.
            if word == "--" or (self._subparsers is not None and not is_flag):
                break
            flag = word.partition("=")[0]
            if is_flag and flag not in known:
                near = difflib.get_close_matches(flag, self._option_string_actions, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                self._refuse("unknown flag", f"only known ones{hint}", word)
        try:
            return super().parse_known_args(self._words, namespace)
        except (flags.Error, ValueError) as error:
            # Those of absl's own flags, as --verbosity.
            _fail(absl_sentence(error, [self.prog, *self._words]))

    def error(self, message: str) -> None:
        """Ends the process with the message in the project's form."""
        words = " ".join(self._words) or "nothing"
        if found := re.match(r"the following arguments are required: (.*)", message):
            names = found[1]
            if "--" in names:
                self._refuse("flags are missing", names, words)
            self._refuse("the command is missing", "one", words)
        if found := re.match(r"one of the arguments (.*) is required", message):
            names = " or ".join(found[1].split())
            self._refuse("a flag is missing", names, words)
        found = re.match(
            r"argument (\S+): (not allowed with|expected|ignored) (.*)", message
        )
        if found and found[2].startswith("not"):
            flag, other = found[1], found[3].removeprefix("argument ")
            self._refuse(f"{flag} and {other} exclude each other", "one", words)
        if found and found[2] == "expected":
            self._refuse(f"{found[1]} has no value", found[3], words)
        if found:
            self._refuse(f"{found[1]} takes no value", "none", words)
        if found := re.match(r"unrecognized arguments: (.*)", message):
            self._refuse("not a flag", "only flags, as --flag value", found[1])
        self._refuse(message, "other flags", words)

    def _get_value(self, action, text):
        try:
            return super()._get_value(action, text)
        except argparse_flags.argparse.ArgumentError:
            kind = {int: "a whole number", float: "a number"}.get(
                action.type, "another"
            )
            flag = action.option_strings[0]
            self._refuse(f"wrong value of {flag}", kind, text)

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices:
            flag = (action.option_strings or [action.dest])[0]
            names = ", ".join(map(str, action.choices))
            self._refuse(f"wrong {flag}", f"one of {names}", value)

    def _refuse(self, what: str, expected: str, received: object) -> None:
        _fail(
            f"{what}: expected {expected} (see {self.prog} --help). "
            f"Received: {received}"
        )


class _HelpFormatter(argparse_flags.argparse.RawDescriptionHelpFormatter):
    """Keeps the description's lines and shows the defaults that say something."""

    def _get_help_string(self, action):
        silent = (None, False, argparse_flags.argparse.SUPPRESS)
        if action.default in ("", []) or any(action.default is x for x in silent):
            return action.help
        return f"{action.help} (default: %(default)s)"


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def _plain_words(words: Sequence[str]) -> list[str]:
    """Spells out a home folder after ``=``, where bash leaves ``~``.

    Refuses empty values, which are variables of the shell that are not set.
    """
    plain = []
    for word in words:
        flag, equals, value = word.partition("=")
        if not word or (flag.startswith("-") and equals and not value):
            _fail(
                f"{flag or 'a flag'} has an empty value: expected another. "
                f"Received: {' '.join(words)}"
            )
        if flag.startswith("-") and value.startswith("~"):
            word = f"{flag}={os.path.expanduser(value)}"
        plain.append(word)
    return plain


@contextlib.contextmanager
def _termination_raised() -> Iterator[None]:
    """Raises SIGTERM in the body; only the main thread may and needs to do that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number, frame):
        del frame
        signal.signal(number, previous)
        raise _Terminated

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _fail(message: str) -> None:
    words = " ".join(message.split())
    # A stranger's names must not steer the terminal.
    line = "".join(x if x.isprintable() else ascii(x)[1:-1] for x in words)
    if len(line) > _LONGEST_LINE:
        # What somebody else wrote may be of any length; the end is what was received.
        line = f"{line[: _LONGEST_LINE // 2]} [...] {line[-_LONGEST_LINE // 2 :]}"
    print(f"error: {line}", file=sys.stderr)
    sys.exit(USER_ERROR)
