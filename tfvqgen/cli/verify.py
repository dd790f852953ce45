"""Checks an exported model the way a server will use it.

  python -m tfvqgen verify --model runs/first/export

The model is a folder that export.py made: a version, or the folder of versions, then
the newest. It is loaded in a process where neither Keras nor this project can be
imported, fed without any check of shapes before the graph's own, as a server feeds it,
and

* every signature is asked, one row at a time and five at once: each row must come out
  the same, and the signatures must not contradict each other;
* requests with wrong rows must be refused, with a sentence that says why;
* the warm-up requests, which a server replays when it loads the model, must work;
* operations must be those of the stock server: none of others, none compiled by XLA;
* inputs and outputs must have rows first (for batching); each signature must have an
  input, and outputs of bytes be called so (for REST);
* the folder must not be larger than its weights and 2 MB.

It takes some minutes for large models. What it prints beside are seconds to load and
for the first and later requests of one cell, and the process's peak memory. The exit
status is 2 if anything fails.
"""

INTERRUPTED = "nothing was changed; run the same command again to start over"


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--model", required=True, help="a folder of export.py's")
    parser.add_argument("--json", metavar="FILE", help="what was found is written here")


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
    """Returns the checks and figures as lines for people."""
    width = max(len(check["name"]) for check in found["checks"])
    lines = [
        f"  {'ok' if x['ok'] else 'FAILED':6}  {x['name']:{width}}  {x['detail']}"
        for x in found["checks"]
    ]
    lines += [
        f"  {'':6}  {name.replace('_', ' '):{width}}  {value:,}"
        for name, value in found["figures"].items()
    ]
    return "\n".join(lines)
