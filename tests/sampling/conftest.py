import pytest
import tensorflow as tf


@pytest.fixture(autouse=True, scope="module")
def unoptimized_graphs():
    """Optimizing the many small graphs of these tests takes longer than it saves."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
