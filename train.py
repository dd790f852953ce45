"""Trains the stages of a generator of single-cell images.

The autoencoder, the code shards that the priors learn from, the priors of the top and
the bottom codes:

  python train.py --data_dir=shards --workdir=runs/first --preset=hpa128

The workdir keeps everything; the same command run again goes on where it stopped, and
what is done is skipped. Look at <workdir>/vqvae/reconstructions.png,
<workdir>/bottom/samples.png and metrics.jsonl (or TensorBoard) while it trains.
"""

from absl import flags

from tfvqgen import config, config_keys, presets
from tfvqgen.command_line import import_tensorflow, run_with_flags

STAGES = ("all", "vqvae", "codes", "top", "bottom")

_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of shards with dataset.json.", required=True
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder for checkpoints, metrics and pictures.", required=True
)
_PRESET = flags.DEFINE_enum(
    "preset",
    None,
    sorted(presets.PRESETS),
    "Sizes and schedule to start from; default: what the workdir has, else hpa128.",
)
_STAGE = flags.DEFINE_enum(
    "stage", "all", STAGES, "What to train; all runs what is missing, in order."
)
_SET = flags.DEFINE_multi_string(
    "set",
    [],
    "section.key=value, may be repeated. The keys of vqvae, with their values in the "
    "preset hpa128:\n"
    + config_keys.describe(config.VQVAEConfig)
    + "\nthose of codes:\n"
    + config_keys.describe(config.CodesConfig)
    + "\nand those of top and bottom (bottom has attention=False):\n"
    + config_keys.describe(config.PriorConfig),
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Training steps of each stage that runs.", lower_bound=1
)
_SEED = flags.DEFINE_integer(
    "seed",
    None,
    "Of weights, data order and draws; default: the workdir's, else 0.",
    lower_bound=0,
    upper_bound=config.MAX_SEED,
)
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    "auto",
    config.STRATEGIES,
    "Devices: the first, all of this machine, or the cluster of TF_CONFIG; auto picks.",
)
_INIT_FROM = flags.DEFINE_string(
    "init_from", None, "Another workdir, whose weights a new stage starts from."
)
_VERIFY_DATA = flags.DEFINE_bool(
    "verify_data", False, "Compare every shard's sha256 first (reads every byte)."
)


def main() -> None:
    """Runs the stages asked for."""
    import_tensorflow()
    from tfvqgen.training import train

    train.train(
        data_dir=_DATA_DIR.value,
        workdir=_WORKDIR.value,
        preset=_PRESET.value,
        stage=_STAGE.value,
        overrides=_SET.value,
        steps=_STEPS.value,
        seed=_SEED.value,
        strategy=_STRATEGY.value,
        init_from=_INIT_FROM.value,
        verify_data=_VERIFY_DATA.value,
    )


if __name__ == "__main__":
    run_with_flags(main)
