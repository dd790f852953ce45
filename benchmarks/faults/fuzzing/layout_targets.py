"""Folders of images as people keep them: tables, names and images of every layout."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.fuzzing.folders import FuzzedFolder
from benchmarks.faults.fuzzing.judging import Inputs
from benchmarks.faults.fuzzing.pictures import mutated_picture

_IMAGES = dict.fromkeys((".png", ".jpg", ".tif", ".gz"), mutated_picture)


def _layout(name: str, fill: Callable[[Path], None]) -> Callable[[Path], Inputs]:
    def make(folder: Path) -> Inputs:
        from data_prep.images.field_images import read_field
        from data_prep.layouts import read_fields

        fill(folder)

        def read(folder: Path) -> None:
            for field in read_fields(folder, name).fields:
                read_field(field)

        return FuzzedFolder(folder, read, mutations=_IMAGES)

    return make


def _looked_for(folder: Path) -> Inputs:
    """Folders of which nobody says the layout."""
    from data_prep.layouts import read_fields

    _kaggle2018(folder)
    return FuzzedFolder(folder, read_fields, mutations=_IMAGES)


def _kaggle2018(folder: Path) -> None:
    from tests.data_prep.layouts import pictures

    pictures.write_table(folder / "train.csv", "Id,Target", "a1,0 16", "b2,5")
    for name in ("a1", "b2"):
        pictures.write_colours(folder / "train" / name)
    about = '{"credit": "CC BY", "pixel_size": 0.32, "synthetic": true}'
    pictures.write_table(folder / "fields.json", about)


def _kaggle2021(folder: Path) -> None:
    from tests.data_prep.layouts import pictures

    pictures.write_table(folder / "train.csv", "ID,Label", "a1,0|16", "b2,18")
    pictures.write_colours(folder / "train" / "a1")
    pictures.write_colours(folder / "train" / "b2", ".tif", dtype="uint16")


def _hpa(folder: Path) -> None:
    from tests.data_prep.layouts import pictures

    pictures.write_colours(folder / "4109" / "1_A1_1", ".jpg.gz")
    pictures.write_colours(folder / "HPA1" / "1_B2_3_cr5af96f44b4a7b", ".jpg")
    pictures.write_table(
        folder / "subcellular_location.tsv",
        "Gene\tGene name\tReliability\tMain location\tUncertain",
        "ENSG1\tTP53\tEnhanced\tNucleoplasm;Cytosol\tCytosol",
    )
    pictures.write_table(
        folder / "proteinatlas.tsv", "Gene\tAntibody", "TP53\tHPA004109, CAB1"
    )
    pictures.write_table(folder / "antibodies.csv", "antibody,gene", "HPA1,TP53")


def _if_image(folder: Path) -> None:
    from tests.data_prep.layouts import pictures

    pictures.write_table(
        folder / "IF-image.csv",
        "filename,locations,antibody,gene_names,atlas_name,status",
        '/archive/7/7_C5_1_,"Nucleoli,Cytosol",HPA1,TP53,U-2 OS,35',
        "/archive/8/8_C5_2_,,HPA2,,A-431,35",
    )
    pictures.write_colours(folder / "7" / "7_C5_1", ".png")
    pictures.write_colours(folder / "8_C5_2", ".png")


def _subcell(folder: Path) -> None:
    from tests.data_prep.layouts import pictures

    pictures.write_table(
        folder / "metadata.csv",
        "if_plate_id,position,sample,cell_id,locations,antibody,gene_names",
        '7,C5,1,2,"Nucleoli,Cytosol",HPA1,TP53',
        "7,C5,1.0,3.0,,HPA1,TP53",
    )
    for name in ("7_C5_1_2", "7_C5_1_3"):
        path = folder / "crops" / f"{name}_cell_image.png"
        pictures.write(path, channels=4)


def _folder(folder: Path) -> None:
    from tests.data_prep.layouts import pictures

    pictures.write_colours(folder / "Nucleoli" / "a")
    pictures.write_colours(folder / "Cytosol" / "b")


def _manifest(folder: Path) -> None:
    from tests.data_prep.layouts import pictures

    pictures.write_table(
        folder / "manifest.csv",
        "id,channel:dna,channel:gfp,labels,group,pixel_size,plate",
        "a,x/a.png#0,x/a.png#1,Nucleoli|Cytosol,w1,0.1,p1",
        "b,x/b.png#0,x/g.tif,,,,p2",
    )
    pictures.write(folder / "x" / "a.png", channels=2, dtype="uint16")
    pictures.write(folder / "x" / "b.png", channels=3, dtype="uint16")
    pictures.write(folder / "x" / "g.tif", dtype="uint16")
    about = '{"credit": "CC0", "pixel_size": 0.2, "labels_ordered": true}'
    pictures.write_table(folder / "manifest.json", about)


TARGETS: dict[str, Callable[[Path], Inputs]] = {
    "layout": _looked_for,
    "kaggle2018": _layout("kaggle2018", _kaggle2018),
    "kaggle2021": _layout("kaggle2021", _kaggle2021),
    "hpa": _layout("hpa", _hpa),
    "if_image": _layout("if_image", _if_image),
    "subcell": _layout("subcell", _subcell),
    "folder": _layout("folder", _folder),
    "manifest": _layout("manifest", _manifest),
}
