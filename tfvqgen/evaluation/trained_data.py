"""The data that a workdir's models were trained on."""

import os

from tfvqgen.data import schema
from tfvqgen.errors import DataError
from tfvqgen.training.workdir import Workdir

# The split whose crops the models have learnt from.
TRAINED_ON = "train"


def open_data(workdir: Workdir, data_dir: str | os.PathLike) -> schema.Dataset:
    """Opens the shards, if they are those that the workdir was trained on.

    Raises:
        DataError: They are not, or there is no workdir or no data.
    """
    workdir.load_config()  # Says so if this is no workdir.
    expected = workdir.load_dataset_info().fingerprint()
    dataset = schema.open_dataset(data_dir)
    if dataset.fingerprint() != expected:
        raise DataError(
            "the data are not those that the models were trained on: expected shards "
            f"of fingerprint {expected[:12]}, as {workdir.path} says. Received: "
            f"{data_dir} of fingerprint {dataset.fingerprint()[:12]}"
        )
    return dataset
