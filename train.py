"""Trains the stages of a generator of single-cell images.

The stages are the autoencoder, the code shards that the priors are trained on, and the
priors of the top and the bottom codes:

  python train.py --data_dir=shards --workdir=runs/first --preset=hpa128

The workdir contains all results. Run the same command again to continue where it
stopped; finished stages are skipped. While it trains, look at
<workdir>/vqvae/reconstructions.png, <workdir>/bottom/samples.png and metrics.jsonl, or
use TensorBoard.
"""

from absl import flags

from tfvqgen import config, presets, validation
from tfvqgen.command_line import import_tensorflow, run_with_flags

STAGES = ("all", "vqvae", "codes", "top", "bottom")

_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of shards with dataset.json.", required=True
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder for checkpoints, metrics and images.", required=True
)
_PRESET = flags.DEFINE_enum(
    "preset",
    None,
    sorted(presets.PRESETS),
    "Preset of the configuration. Defaults to that of the workdir, else hpa128.",
)
_STAGE = flags.DEFINE_enum(
    "stage",
    "all",
    STAGES,
    "Stage to train; all trains every unfinished stage in order.",
)
_SET = flags.DEFINE_multi_string(
    "set",
    [],
    "Value of a configuration key, as section.key=value; may be repeated. The keys of "
    "the section vqvae, with their values in the preset hpa128:\n"
    + validation.describe(config.VQVAEConfig)
    + "\nThe keys of the section codes:\n"
    + validation.describe(config.CodesConfig)
    + "\nThe keys of the sections top and bottom (bottom has attention=False):\n"
    + validation.describe(config.PriorConfig),
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Number of training steps of each stage that runs.", lower_bound=1
)
_SEED = flags.DEFINE_integer(
    "seed",
    None,
    "Random seed for weight initialization, shuffling and sampling. Defaults to that "
    "of the workdir, else 0.",
    lower_bound=0,
    upper_bound=config.MAX_SEED,
)
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    "auto",
    config.STRATEGIES,
    "Devices: the first one, all of this machine, or the cluster of TF_CONFIG; auto "
    "selects one of these.",
)
_INIT_FROM = flags.DEFINE_string(
    "init_from", None, "Another workdir, whose weights initialize a new stage."
)
_VERIFY_DATA = flags.DEFINE_bool(
    "verify_data",
    False,
    "Compare the sha256 of every shard first, which reads every byte.",
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
