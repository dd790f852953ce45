"""Localizations of genes, from the tables that proteinatlas.org offers.

``subcellular_location.tsv`` is at the level of genes. Which antibody is for which gene
says ``proteinatlas.tsv`` or ``antibodies.csv`` (columns antibody,gene); without them
folders are looked up as genes.
"""

import re
from collections.abc import Mapping

from data_prep.fields import FolderFiles
from data_prep.layouts.colours import listed
from data_prep.tables import Row, read_table

TABLE = "subcellular_location.tsv"
_ATLAS = "proteinatlas.tsv"
_ANTIBODIES = "antibodies.csv"
_MAIN = ("Main location", "Additional location")
# What there is instead in old versions.
_BY_RELIABILITY = ("Enhanced", "Supported", "Approved")


class Locations:
    """Genes of antibodies, and labels of genes, as far as a folder's tables say.

    Args:
        files: The folder.

    Raises:
        DataError: A table is damaged; names file and line.
    """

    def __init__(self, files: FolderFiles):
        self._labels: dict[str, tuple[str, ...]] = {}
        self._names: dict[str, str] = {}
        table = files.find(TABLE)
        self.known = table is not None
        if table is not None:
            for row in read_table(table, ("Gene", "Gene name"), delimiter="\t"):
                self._add(row)
        self._gene_of = _genes_of_antibodies(files)

    def gene(self, antibody: str) -> str:
        """Returns the name of an antibody's gene, empty if it is not known."""
        key = _key(antibody)
        gene = self._gene_of.get(key, "")
        return self._names.get(_key(gene), gene) or self._names.get(key, "")

    def labels(self, gene: str) -> tuple[str, ...]:
        """Returns a gene's localizations but for uncertain ones; none: unknown."""
        return self._labels.get(_key(gene), ())

    def _add(self, row: Row) -> None:
        columns = [name for name in _MAIN if name.lower() in row.cells]
        uncertain = set(listed(row.get("Uncertain"), ";"))
        labels = ";".join(row.get(name) for name in columns or _BY_RELIABILITY)
        kept = tuple(name for name in listed(labels, ";") if name not in uncertain)
        if row.get("Reliability").lower() == "uncertain":
            kept = ()
        name = row.get("Gene name") or row.get("Gene")
        for key in (_key(row.get("Gene")), _key(name)):
            # A name that two genes have says nothing certain beyond the first.
            self._labels.setdefault(key, kept)
            self._names.setdefault(key, name)


def _genes_of_antibodies(files: FolderFiles) -> Mapping[str, str]:
    found: dict[str, str] = {}
    path = files.find(_ATLAS)
    if path is not None:
        for row in read_table(path, ("Gene", "Antibody"), delimiter="\t"):
            for antibody in listed(row.get("Antibody").replace(";", ","), ","):
                found.setdefault(_key(antibody), row.get("Gene"))
    path = files.find(_ANTIBODIES)
    if path is not None:
        for row in read_table(path, ("antibody", "gene")):
            found[_key(row.get("antibody"))] = row.get("gene")
    return found


def _key(name: str) -> str:
    """Folders of images are called 4109 where the antibody is HPA004109."""
    name = name.strip().lower()
    number = re.fullmatch(r"(?:hpa)?0*(\d+)", name)
    return f"hpa{number[1]}" if number else name
