"""Checks an exported model as a server will use it.

  python -m tfvqgen verify --model runs/first/export

--model is a version that export.py wrote, or the folder of versions; then the newest is
checked. The export is loaded in a process that can import neither Keras nor this
project. The graph gets its inputs unchecked, as from a server. These are the checks:

* Every signature is run with one row at a time and with five at once. Each row must
  give the same result, and the signatures must be consistent with each other.
* Requests with wrong rows must be refused with a sentence that says why.
* The warm-up requests, which a server replays when it loads the model, must work.
* Every operation must be one of the stock server; none may be compiled by XLA.
* Inputs and outputs must have a leading batch dimension (for batching). Each signature
  must have an input, and the names of outputs of bytes must end in _bytes (for REST).
* The folder must not be much larger than the weights.

Large models take some minutes. The command also prints the seconds to load, those of
the first and of later requests for one cell, and the peak memory of the process. The
exit status is 2 if a check fails.
"""

INTERRUPTED = "nothing was changed; run the same command again to start over"


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--model", required=True, help="Folder that export.py wrote.")
    parser.add_argument("--json", metavar="FILE", help="Write the results here.")


def run(args) -> None:
    """Runs the command."""
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
