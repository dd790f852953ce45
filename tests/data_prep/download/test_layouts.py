"""What ``download`` leaves is what the readers of layouts take."""

import io

import numpy as np
from PIL import Image

from data_prep.download.crew import Options
from data_prep.download.index import read_index
from data_prep.download.run import download
from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep.download.image_site import picture, whole

COLOURS = ("red", "green", "blue", "yellow")
OPTIONS = Options(workers=4, rate=0, retries=0)


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def put_field(site, start, seed):
    """Puts the four images of a field there; returns its pixels."""
    planes = [picture(side=32, seed=10 * seed + k) for k in range(4)]
    for colour, data in zip(COLOURS, planes, strict=True):
        site.put(f"{start}_{colour}.png", whole(data))
    return np.stack([pixels(data) for data in planes], axis=-1)


def test_a_table_of_fields_becomes_the_atlas_own_layout(site, tmp_path):
    first = put_field(site, "/992/7_C5_1", 1)
    table = tmp_path / "IF.csv"
    table.write_text(
        "filename,if_plate_id,position,sample,locations,antibody,gene_names\n"
        '/archive/7/7_C5_1_,7,C5,1,"Nucleoplasm,Cytosol",HPA000992,ABC1\n'
        "/archive/8/8_A1_2_,8,A1,2,,HPA000992,ABC1\n"
    )
    folder = tmp_path / "images"
    folder.mkdir()
    index = read_index(
        table, template=site.url + "/{antibody_number}/{name}_{channel}.png"
    )

    def run():
        return download(index, folder, "random noise", OPTIONS)

    report = run()
    assert sorted(wanted.path for wanted, _ in report.failed) == [
        f"8/8_A1_2_{colour}.png" for colour in sorted(COLOURS)
    ]
    found = read_fields(folder)
    assert (found.layout, found.channels) == ("if_image", COLOURS)
    assert found.credit == "random noise"
    (field,) = found.fields
    assert field.field_id == "7_C5_1" and field.labels == ("Nucleoplasm", "Cytosol")
    assert field.metadata["gene"] == "ABC1"
    np.testing.assert_array_equal(read_field(field), first)
    second = put_field(site, "/992/8_A1_2", 2)
    assert run().whole
    assert (folder / "IF-image.csv").read_text() == table.read_text()
    fields = read_fields(folder).fields
    np.testing.assert_array_equal(read_field(fields[1]), second)


def test_a_field_that_lacks_an_image_is_not_in_the_table(site, tmp_path):
    put_field(site, "/1/7_C5_1", 1)
    put_field(site, "/1/7_C5_2", 2)
    site.put("/1/7_C5_1_green.png", whole(b""))
    table = tmp_path / "IF.csv"
    lines = ("filename,locations", "7_C5_1_,Cytosol", "7_C5_2_,")
    table.write_text("\n".join(lines) + "\n")
    folder = tmp_path / "images"
    folder.mkdir()
    index = read_index(table, template=site.url + "/1/{name}_{channel}.png")
    assert len(download(index, folder, "random noise", OPTIONS).failed) == 1
    assert [field.field_id for field in read_fields(folder).fields] == ["7_C5_2"]


def test_a_list_of_addresses_becomes_the_layout_of_the_site(site, tmp_path):
    first = put_field(site, "/images/58586/1060_C8_6", 1)
    second = put_field(site, "/images/58586/1060_C8_9_cr5af96f44b42f8", 2)
    table = tmp_path / "index.csv"
    urls = [site.url + path for path in sorted(site.known())]
    table.write_text("\n".join(["url", *urls]) + "\n")
    folder = tmp_path / "images"
    folder.mkdir()
    assert download(read_index(table), folder, "random noise", OPTIONS).whole
    found = read_fields(folder)
    assert (found.layout, found.channels) == ("hpa", COLOURS)
    assert found.credit == "random noise"
    assert [field.field_id for field in found.fields] == [
        "58586_1060_C8_6",
        "58586_1060_C8_9_cr5af96f44b42f8",
    ]
    for field, image in zip(found.fields, (first, second), strict=True):
        np.testing.assert_array_equal(read_field(field), image)
