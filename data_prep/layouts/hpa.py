"""Human Protein Atlas site: ``<antibody>/<plate>_<well>_<field>_<channels>.jpg``.

A field may have a suffix (``11_cr5af96f44b4a7b``), as some have on the site. Channels
are combined (``blue_red_green``, an RGB picture that shows each in its colour)
or one (``blue``); where both are there, the single one is read. ``z01_`` may stand
before them, ``.gz`` behind. Labels are those of the antibody's gene in
``subcellular_location.tsv``, but for uncertain ones.
"""

import collections
import re

from data_prep.fields import Field, FieldFolder, FolderFiles, Plane
from data_prep.layouts import colours, source_info
from data_prep.layouts.locations import TABLE, Locations
from data_prep.tables import check_id
from tfvqgen.errors import DataError

LOOKED_FOR = "<antibody>/<plate>_<well>_<field>_<channels>.jpg (or png, tif, .gz)"
_COLOUR = f"(?:{'|'.join(colours.COLOURS)})"
_NAME = re.compile(
    rf"(?P<plate>\d+)_(?P<well>[A-P]\d{{1,2}})_(?P<field>\d+(?:_cr\w+?)?)_(?P<z>z\d+_)?"
    rf"(?P<channels>{_COLOUR}(?:_{_COLOUR})*){colours.ENDING}"
)
# What folders are called on the site, so that others need --layout.
_ANTIBODY = re.compile(r"\d+|(?:HPA|CAB)\d+|ENSG\d+", re.IGNORECASE)


def matches(files: FolderFiles) -> bool:
    """Whether the folder looks like this layout."""
    # Those of IF-image.csv are called likewise.
    return files.find("IF-image.csv") is None and any(
        _ANTIBODY.fullmatch(name.split("/")[0]) for name in files.names if _parse(name)
    )


def read(files: FolderFiles, channels) -> FieldFolder:
    """Groups the files by field and looks their antibodies up."""
    wanted = colours.chosen(colours.COLOURS, channels)
    locations = Locations(files)
    names = collections.defaultdict(list)
    parts = {}
    for name in files.names:
        found = _parse(name)
        if found is not None:
            antibody = name.split("/")[0]
            z = (found["z"] or "").rstrip("_")
            key = (antibody, found["plate"], found["well"], found["field"], z)
            field_id = "_".join(part for part in key if part)
            check_id(field_id, f"{files.folder / name}")
            names[field_id].append((name, found["channels"].lower().split("_")))
            parts[field_id] = key
    fields = [
        _field(files, field_id, parts[field_id], names[field_id], wanted, locations)
        for field_id in names
    ]
    if locations.known and fields and not any(f.metadata.get("gene") for f in fields):
        raise DataError(
            f"no folder's gene is known: expected antibodies.csv (antibody,gene) or "
            f"proteinatlas.tsv beside {TABLE}, or folders named by gene. "
            f"Received: {files.folder} with {parts[fields[0].field_id][0]}, ..."
        )
    stated = source_info.read_about(files, "fields.json", colours.HPA_CREDIT)
    return colours.folder_of("hpa", files, wanted, fields, stated.credit)


def _parse(name: str) -> re.Match | None:
    """Returns the parts of a file's name that is of this layout."""
    folder, _, last = name.rpartition("/")
    return _NAME.fullmatch(last) if folder and "/" not in folder else None


def _field(files, field_id, key, names, wanted, locations: Locations) -> Field:
    antibody, plate, well, *_ = key
    found = _planes(files, names)
    where = str(files.folder / antibody)
    planes = colours.all_planes(found, wanted, field_id, where)
    gene = locations.gene(antibody)
    return Field(
        field_id=field_id,
        planes=planes,
        labels=locations.labels(gene),
        # Two antibodies of one gene show the same protein.
        group=gene or antibody,
        metadata=colours.known(
            codec=colours.codec_of(planes),
            antibody=antibody,
            gene=gene,
            plate=plate,
            well=well,
        ),
        pixel_size=colours.FULL_SIZE_PIXEL,
    )


def _planes(files: FolderFiles, names) -> dict[str, Plane]:
    single, combined = {}, {}
    for name, shown in names:
        path = files.find(name)
        if len(shown) == 1:
            single.setdefault(shown[0], colours.one_colour(path, shown[0]))
        elif "yellow" not in shown:
            # Where yellow is mixed in, red and green are not themselves.
            for colour in shown:
                combined.setdefault(colour, Plane(path, colours.RGB_INDEX[colour]))
    return {**combined, **single}
