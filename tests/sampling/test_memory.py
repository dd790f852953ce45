""""""

import dataclasses

from tests.priors import prior_config
from tfvqgen import Config
from tfvqgen.sampling.memory import (
    BUDGET,
    convolved_at_once,
    drawing_memory,
    drawn_at_once,
    memory_per_map,
    scored_at_once,
)


def test_what_is_kept_of_a_map_is_counted_by_hand():
    # 4 rows of 7 + 4 columns: 8 embedded and 6 gated layers of 8 and 12 channels; keys
    # and values of 2 heads of 4 + 5 in 2 blocks for 36 places; one context vector.
    rows = 4 * 11 * (8 + 6 * (8 + 12))
    assert memory_per_map(prior_config()) == 4 * (rows + 2 * 2 * 9 * 36 + 8)
    plain = prior_config(attention=False)
    assert memory_per_map(plain) == 4 * (rows + 8)


def test_parts_fit_the_budget_and_are_no_larger_than_a_request():
    for name, expected in (("demo", 256), ("hpa256", 18)):
        config = Config.from_preset(name)
        at_once = drawn_at_once(config.top, config.bottom, 256)
        assert at_once == expected
        assert at_once * drawing_memory(config.bottom) <= BUDGET


def test_huge_models_are_still_drawn_several_at_a_time():
    config = Config.from_preset("hpa256")
    huge = dataclasses.replace(config.bottom, width=4096)
    assert drawn_at_once(config.top, huge, 256) == 16
    assert drawn_at_once(config.top, huge, 4) == 4


def test_fewer_images_go_through_the_convolutions_where_they_are_larger():
    shapes = [(64, 64, 4), (128, 128, 4), (256, 256, 4), (2048, 2048, 1)]
    assert [convolved_at_once(x) for x in shapes] == [256, 64, 16, 1]


def test_fewer_cells_are_judged_at_a_time_where_maps_are_larger():
    sizes = [
        scored_at_once(Config.from_preset(x).bottom)
        for x in ("demo", "hpa128", "hpa256")
    ]
    assert sizes == [64, 16, 4]
