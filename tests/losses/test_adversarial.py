import numpy as np

from tfvqgen.losses import hinge_loss, realism_loss


def test_the_hinge_counts_what_is_within_the_margin():
    real = np.array([[[2.0, 0.5]], [[-1.0, 1.0]]], np.float32)
    fake = np.array([[[-2.0, -0.5]], [[1.0, -1.0]]], np.float32)
    np.testing.assert_allclose(hinge_loss(real, fake), (0.5 + 2) / 4 + (0.5 + 2) / 4)
    np.testing.assert_allclose(realism_loss(fake), 2.5 / 4)


def test_a_critic_that_says_nothing_loses_two():
    nothing = np.zeros((2, 3, 3), np.float32)
    assert float(hinge_loss(nothing, nothing)) == 2
