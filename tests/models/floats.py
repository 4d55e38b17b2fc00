"""Writes down how NumPy prints floats: the shortest digits that read back to the same value.

    pip install numpy
    python3 tests/models/floats.py

Writes floats.json beside this file: for float32 and float16, little-endian bytes in base64 and the
number that each value is to be in JSON.
"""
import json
from base64 import b64encode
from decimal import Decimal, getcontext
from pathlib import Path

import numpy as np

rng = np.random.default_rng(0)
getcontext().prec = 200


def neighbours(values):
    """Each value with those next to it, of both signs."""
    near = np.concatenate([np.nextafter(values, values * 0), values, np.nextafter(values, values * 2)])
    near = np.unique(near[np.isfinite(near)])
    return np.concatenate([near, -near[near > 0]])


def float32():
    powers_of_two = np.ldexp(np.float32(1), np.arange(-149, 128)).astype(np.float32)
    powers_of_ten = np.array([f"1e{e}" for e in range(-44, 39)], np.float32)
    anything = rng.integers(1, 0x7F800000, 300, np.uint32).view(np.float32)
    subnormal = rng.integers(1, 0x00800000, 40, np.uint32).view(np.float32)
    plain = np.concatenate([
        rng.random(100), rng.normal(0, 1000, 100), rng.integers(0, 2**31, 40),
        [0.97, 0.1, 1 / 3, 5.1, 16777216, 16777217, 999999.9, 0.3, 3.4028234e38, 1.1754944e-38],
    ]).astype(np.float32)
    return np.concatenate([powers_of_two, neighbours(powers_of_ten), anything, subnormal, plain])


def float16():
    powers_of_two = np.ldexp(np.float16(1), np.arange(-24, 16)).astype(np.float16)
    powers_of_ten = np.array([f"1e{e}" for e in range(-7, 5)], np.float16)
    anything = rng.integers(1, 0x7C00, 300, np.uint16).view(np.float16)
    subnormal = rng.integers(1, 0x0400, 40, np.uint16).view(np.float16)
    plain = np.array([0.97, 0.1, 1 / 3, 65504, 2049, 6.1e-05], np.float16)
    return np.concatenate([powers_of_two, neighbours(powers_of_ten), anything, subnormal, plain])


def is_tie(value):
    """Whether the value lies halfway between two numbers of as few digits, either of which will do."""
    exact, short = Decimal(float(value)), Decimal(str(value))
    other = 2 * exact - short
    digits = [len(number.normalize().as_tuple().digits) for number in (short, other)]
    return other != short and digits[1] <= digits[0] and value.dtype.type(str(other)) == value


def even(values):
    """The values as rows of two, which the identity models take."""
    values = np.array([value for value in np.unique(values) if not is_tie(value)], values.dtype)
    return values[: len(values) // 2 * 2]


answers = {}
for make in (float32, float16):
    values = even(make())
    answers[make.__name__] = {
        "b64": b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode(),
        "numbers": [float(str(value)) for value in values],
    }
Path(__file__).with_name("floats.json").write_text(json.dumps(answers) + "\n")
