"""The shipped configurations, as overrides of the defaults."""


def _both_priors(*overrides: str) -> tuple[str, ...]:
    return tuple(f"{name}.{text}" for name in ("top", "bottom") for text in overrides)


# A preset is the defaults (hpa128, the poster's sizes) with these overrides.
PRESETS: dict[str, tuple[str, ...]] = {
    "demo": (
        "vqvae.image_shape=64,64,4",
        "vqvae.hidden=64",
        "vqvae.residual_width=32",
        "vqvae.num_embeddings=256",
        "vqvae.embedding_dim=32",
        # Small organelles would be lost to squared errors of 4 channels in few steps.
        "vqvae.protein_weight=6",
        "vqvae.steps=2200",
        "vqvae.batch_size=16",
        "vqvae.log_every=50",
        "vqvae.validate_every=500",
        "vqvae.checkpoint_every=500",
        *_both_priors(
            "width=64",
            "residual_width=32",
            "blocks=2",
            "heads=4",
            "log_every=50",
            "validate_every=500",
            "checkpoint_every=500",
        ),
        "codes.symmetries=8",
        "top.steps=2000",
        "top.batch_size=16",
        "bottom.steps=1700",
        "bottom.batch_size=8",
    ),
    "hpa128": (),
    "hpa256": (
        "vqvae.image_shape=256,256,4",
        *_both_priors(
            "width=256",
            "residual_width=128",
            "layers=4",
            "key_dim=16",
            "value_dim=16",
        ),
    ),
}
