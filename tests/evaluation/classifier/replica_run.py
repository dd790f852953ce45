"""Trains a tiny classifier: python replica_run.py DATA_DIR {one,two} OUTPUT.npz."""

from tests import replica_process
from tfvqgen.data import schema
from tfvqgen.training.stages.classifier import ClassifierConfig, ClassifierStage


def run(data_dir, strategy):
    config = ClassifierConfig(width=4, batch_size=8, dropout=0.3)
    dataset = schema.open_dataset(data_dir)
    splits = dataset.split("validation"), dataset.split("test")

    def make_stage():
        return ClassifierStage("judge", config, *splits, seed=0)

    return replica_process.variables_and_losses(make_stage, strategy)


if __name__ == "__main__":
    replica_process.main(run)
