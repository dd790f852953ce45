import pytest

from data_prep.download.crew import Options
from data_prep.download.index import read_index
from data_prep.download.run import download
from tests.data_prep.download.fetching import FastClock
from tests.data_prep.download.image_site import image_site


@pytest.fixture
def site():
    with image_site() as made:
        yield made


@pytest.fixture
def fetch(site, tmp_path):
    """Returns what downloads lines of an index, all the site's paths by default."""

    def run(lines, *, clock=None, header="url,path,sha256", **options):
        table = tmp_path / "index.csv"
        table.write_text("\n".join([header, *lines]) + "\n")
        folder = tmp_path / "images"
        folder.mkdir(exist_ok=True)
        chosen = {"workers": 1, "rate": 0, "retries": 3, "timeout": 5, **options}
        return download(
            read_index(table),
            folder,
            "random noise",
            Options(**chosen),
            clock=clock or FastClock(),
            jitter=lambda: 0.0,
        )

    return run
