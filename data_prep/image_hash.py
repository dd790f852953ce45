"""The hash by which a crop's image is known again."""

import hashlib

from tfvqgen.data.crops import Crop, CropFolder
from tfvqgen.data.images import read_image_bytes


def image_hash(folder: CropFolder, crop: Crop) -> str:
    """Returns the hex sha256 of a crop's image.

    That of the table is believed; an image without one is read.
    """
    if crop.sha256:
        return crop.sha256
    files = read_image_bytes(folder.image_path(crop), folder.channels)
    return hashlib.sha256(b"".join(files)).hexdigest()
