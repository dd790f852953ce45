"""Checks an exported model in the way that a server uses it.

  python -m tfvqgen verify --model runs/first/export

The model is a folder of export.py: a version, or the folder of versions, whose newest
version is checked. It is loaded in a process in which neither Keras nor this project
can be imported. It passes if

* every signature gives the same result for a row alone and among five rows;
* requests with wrong rows are refused with a sentence that gives the reason;
* the warm-up requests, which a server replays when it loads the model, work;
* all operations exist in the stock server, and none is compiled by XLA;
* inputs and outputs have a leading batch dimension;
* the folder is not larger than its weights and 2.5 MB.

The command also prints the seconds to load the model, the seconds of the first and
later requests for one cell, and the peak memory of the process. Large models take some
minutes. The exit status is 2 if a check fails.
"""

from tfvqgen.command_line import import_tensorflow

INTERRUPTED = "nothing was changed; run the same command again to start over"


def add_flags(parser) -> None:
    parser.add_argument("--model", required=True, help="Folder of export.py.")
    parser.add_argument(
        "--json", metavar="FILE", help="File to which the results are written."
    )


def run(args) -> None:
    import_tensorflow()
    from tfvqgen.errors import DataError
    from tfvqgen.export.verify import verify
    from tfvqgen.files import write_json
    from tfvqgen.generation.saved_model import version_folder

    path = version_folder(args.model)
    print(f"checking {path}", flush=True)
    found = verify(path)
    if args.json:
        write_json(args.json, {"model": str(path), **found})
    print(table(found))
    failed = [check for check in found["checks"] if not check["ok"]]
    if failed:
        raise DataError(
            f"the export fails {len(failed)} of {len(found['checks'])} checks: "
            f"expected it to pass all. Received: {failed[0]['name']}: "
            f"{failed[0]['detail']}"
        )


def table(found: dict) -> str:
    """Returns the checks and metrics as lines of text."""
    width = max(len(check["name"]) for check in found["checks"])
    lines = [
        f"  {'ok' if x['ok'] else 'FAILED':6}  {x['name']:{width}}  {x['detail']}"
        for x in found["checks"]
    ]
    lines += [
        f"  {'':6}  {name.replace('_', ' '):{width}}  {value:,}"
        for name, value in found["metrics"].items()
    ]
    return "\n".join(lines)
