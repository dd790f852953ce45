"""Human Protein Atlas site: ``<antibody>/<plate>_<well>_<field>_<channels>.jpg``.

The channels are one color or several (``blue_red_green``), in an RGB image that shows
each in its color. Labels are those of the antibody's gene; see docs/layouts.md.
"""

import collections
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from data_prep.fields import FieldFolder, FolderFiles, Plane
from data_prep.layouts import colours
from data_prep.layouts.colours import listed
from data_prep.tables import Row, check_id, read_table
from tfvqgen.errors import DataError

_COLOUR = f"(?:{'|'.join(colours.COLOURS)})"
_NAME = re.compile(
    rf"(?P<plate>\d+)_(?P<well>[A-P]\d{{1,2}})_(?P<field>\d+(?:_cr\w+?)?)_(?P<z>z\d+_)?"
    rf"(?P<channels>{_COLOUR}(?:_{_COLOUR})*)(?i:{colours.ENDING})"
)
# The site's names of folders; other names need --layout.
_ANTIBODY = re.compile(r"\d+|(?:HPA|CAB)\d+|ENSG\d+", re.IGNORECASE)
_LOCATIONS = "subcellular_location.tsv"
_MAIN = ("Main location", "Additional location")
# Old versions have these columns instead.
_BY_RELIABILITY = ("Enhanced", "Supported", "Approved")


def _matches(files: FolderFiles) -> bool:
    # The images of IF-image.csv have similar names.
    return files.find("IF-image.csv") is None and any(
        _ANTIBODY.fullmatch(name.split("/")[0]) for name in files.names if _parse(name)
    )


def _read(files: FolderFiles, channels: Sequence[str] | None) -> FieldFolder:
    wanted = colours.chosen(colours.COLOURS, channels)
    locations = _Locations(files)
    names = collections.defaultdict(list)
    for name in files.names:
        if parts := _parse(name):
            z = (parts["z"] or "").rstrip("_")
            key = (name.split("/")[0], parts["plate"], parts["well"], parts["field"], z)
            names[key].append((name, parts["channels"].split("_")))
    fields = []
    for key, found in names.items():
        antibody, plate, well, *_ = key
        field_id = "_".join(part for part in key if part)
        check_id(field_id, str(files.folder / found[0][0]))
        gene, labels = locations.find(antibody)
        field = colours.make_field(
            field_id,
            _planes(files, found),
            wanted,
            str(files.folder / antibody),
            labels=labels,
            # Two antibodies of one gene show the same protein.
            group=gene or antibody,
            antibody=antibody,
            gene=gene,
            plate=plate,
            well=well,
        )
        fields.append(field)
    if locations.exist and fields and not any(f.metadata.get("gene") for f in fields):
        raise DataError(
            "no folder's gene is known: expected antibodies.csv (antibody,gene) or "
            f"proteinatlas.tsv beside {_LOCATIONS}, or folders named by gene. "
            f"Received: {files.folder} with {fields[0].metadata['antibody']}, ..."
        )
    info = colours.SourceInfo.read(files, "fields.json", colours.HPA_CREDIT)
    return colours.folder_of("hpa", files, wanted, fields, info.credit)


def _parse(name: str) -> re.Match | None:
    """Returns the parts of a file's name if it belongs to this layout."""
    folder, _, last = name.rpartition("/")
    return _NAME.fullmatch(last) if folder and "/" not in folder else None


def _planes(files: FolderFiles, names) -> dict[str, Plane]:
    single, combined = {}, {}
    for name, shown in names:
        path = files.find(name)
        if len(shown) == 1:
            single.setdefault(shown[0], colours.one_colour(path, shown[0]))
        elif "yellow" not in shown:
            # Yellow would be mixed into red and green.
            for colour in shown:
                combined.setdefault(colour, Plane(path, colours.RGB_INDEX[colour]))
    return {**combined, **single}


class _Locations:
    """Genes of antibodies and localizations of genes, from the tables of a folder.

    `exist` tells whether there is a table of localizations.
    """

    def __init__(self, files: FolderFiles):
        # Gene or its name -> name and localizations.
        self._genes: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._gene_of: dict[str, str] = {}
        table = files.find(_LOCATIONS)
        self.exist = table is not None
        for row in _rows(table, ("Gene", "Gene name"), "\t"):
            name = row.get("Gene name") or row.get("Gene")
            for key in (row.get("Gene"), name):
                # The first of two genes with one name counts.
                self._genes.setdefault(_key(key), (name, _certain_labels(row)))
        for row in _rows(files.find("proteinatlas.tsv"), ("Gene", "Antibody"), "\t"):
            for antibody in listed(row.get("Antibody").replace(";", ","), ","):
                self._gene_of.setdefault(_key(antibody), row.get("Gene"))
        for row in _rows(files.find("antibodies.csv"), ("antibody", "gene"), ","):
            self._gene_of[_key(row.get("antibody"))] = row.get("gene")

    def find(self, antibody: str) -> tuple[str, tuple[str, ...]]:
        """Returns the name of an antibody's gene and its labels; empty if unknown."""
        gene = self._gene_of.get(_key(antibody), "")
        return self._genes.get(_key(gene or antibody), (gene, ()))


def _rows(path: Path | None, columns: Sequence[str], delimiter: str) -> Iterable[Row]:
    return () if path is None else read_table(path, columns, delimiter)


def _certain_labels(row: Row) -> tuple[str, ...]:
    if row.get("Reliability").lower() == "uncertain":
        return ()
    columns = [name for name in _MAIN if name.lower() in row.cells]
    uncertain = set(listed(row.get("Uncertain"), ";"))
    labels = ";".join(row.get(name) for name in columns or _BY_RELIABILITY)
    return tuple(name for name in listed(labels, ";") if name not in uncertain)


def _key(name: str) -> str:
    """Folders of images are called 4109 where the antibody is HPA004109."""
    name = name.strip().lower()
    number = re.fullmatch(r"(?:hpa)?0*(\d+)", name)
    return f"hpa{number[1]}" if number else name


HPA = colours.Layout(
    "<antibody>/<plate>_<well>_<field>_<channels>.jpg (or png, tif, .gz)",
    _matches,
    _read,
)
