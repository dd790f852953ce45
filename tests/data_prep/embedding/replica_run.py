"""Trains a tiny pairing network: python replica_run.py CROPS {one,two} OUTPUT.npz."""

from data_prep.embedding.crop_images import CropImages
from data_prep.embedding.pairing import Pairs, group_crops
from tests import replica_process
from tfvqgen.data.crops import read_crops
from tfvqgen.training.stages.inpainting import InpaintingConfig, InpaintingStage


def run(crops, strategy):
    folder = read_crops(crops)
    config = InpaintingConfig(width=0.05, size=16, batch_size=8, min_group=2)
    images = CropImages(folder, ("green", "blue", "red"), config.size)
    groups = group_crops(folder.rows, min_group=2, validation_share=0.3, seed=0)
    training = Pairs(images, groups.training, augment=True)

    def make_stage():
        return InpaintingStage(config, training, Pairs(images, groups.validation))

    return replica_process.variables_and_losses(make_stage, strategy)


if __name__ == "__main__":
    replica_process.main(run)
