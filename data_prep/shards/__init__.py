"""From crops to TFRecord shards."""
