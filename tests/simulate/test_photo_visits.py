"""What two visits' cameras make of one lesion in software: devices mix light, not stored grey levels."""

import numpy as np
import pytest

from longderm.simulate.photo_visits import develop, draw_sensor, mix_channels

RNG = np.random.default_rng
HALF_SATURATED = 0.5 * np.eye(3) + 0.5 / 3


def test_grey_stays_grey_whatever_a_device_mixes():
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)[None]
    for seed in range(5):
        mixed = mix_channels(grey, np.array(draw_sensor(RNG(seed)).mixing)).astype(int)
        assert abs(mixed - grey).max() <= 1


def test_nothing_mixed_is_nothing_changed():
    pixels = RNG(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert (mix_channels(pixels, np.eye(3)) == pixels).all()


def test_light_is_mixed_and_so_a_dark_channel_takes_up_more_than_grey_levels_would_say():
    red = np.array([[[200, 20, 20]]], np.uint8)
    mixed = mix_channels(red, HALF_SATURATED)[0, 0]
    # In light, the square of what is stored: 0.615, 0.006, 0.006, whose mean is 0.209.
    assert mixed == pytest.approx([164, 84, 84], abs=1)
    assert mixed[1] > (HALF_SATURATED @ red[0, 0])[1] + 30


def test_one_seed_develops_one_photo():
    view = RNG(1).integers(60, 220, (64, 64, 3), dtype=np.uint8)
    first, again, other = (develop(view, draw_sensor(RNG(3)), RNG(seed)) for seed in (4, 4, 5))
    assert (first == again).all() and not (first == other).all()
