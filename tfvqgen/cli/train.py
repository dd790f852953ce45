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
from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON
STAGES = ("all", "vqvae", "codes", "top", "bottom")


def define_flags() -> None:
    text = "Folder of shards with dataset.json. Required."
    flags.DEFINE_string("data_dir", None, text, required=True)
    text = "Folder for checkpoints, metrics and images. Required."
    flags.DEFINE_string("workdir", None, text, required=True)
    text = "Preset of the configuration. Defaults to that of the workdir, else hpa128."
    flags.DEFINE_enum("preset", None, sorted(presets.PRESETS), text)
    text = "Stage to train; all trains every unfinished stage in order."
    flags.DEFINE_enum("stage", "all", STAGES, text)
    flags.DEFINE_multi_string(
        "set",
        [],
        "Value of a configuration key, as section.key=value; may be repeated. The keys "
        "of the section vqvae, with their values in the preset hpa128:\n"
        + validation.describe(config.VQVAEConfig)
        + "\nThe keys of the section codes:\n"
        + validation.describe(config.CodesConfig)
        + "\nThe keys of the sections top and bottom (bottom has attention=False):\n"
        + validation.describe(config.PriorConfig),
    )
    flags.DEFINE_integer(
        "steps",
        None,
        "Number of training steps of each stage that runs. Defaults to the key `steps` "
        "of the stage.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "seed",
        None,
        "Random seed for weight initialization, shuffling and sampling. Defaults to "
        "that of the workdir, else 0.",
        lower_bound=0,
        upper_bound=config.MAX_SEED,
    )
    flags.DEFINE_enum(
        "strategy",
        "auto",
        config.STRATEGIES,
        "Devices. one_device: the first GPU, else the CPU; mirrored: all GPUs of this "
        "machine; multi_worker: the cluster in TF_CONFIG; auto: multi_worker if "
        "TF_CONFIG is set, mirrored if there are several GPUs, else one_device.",
    )
    text = "Another workdir, whose weights initialize stages without a checkpoint."
    flags.DEFINE_string("init_from", None, text)
    text = "Compare the sha256 of every shard before training; this reads every byte."
    flags.DEFINE_bool("verify_data", False, text)


def run() -> None:
    import_tensorflow()
    from tfvqgen.training import train

    values = flags.FLAGS
    names = ("data_dir", "workdir", "preset", "stage", "steps", "seed", "strategy")
    names += ("init_from", "verify_data")
    train.train(overrides=values.set, **{x: getattr(values, x) for x in names})
