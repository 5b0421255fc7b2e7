"""The room's generator: splitmix64, in integers alone, so that every machine draws the same numbers.

Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014). One 64-bit word is the whole
state, which fits a journal event, and any word is a sound start.
"""

from __future__ import annotations

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_GAMMA = 0x9E37_79B9_7F4A_7C15


def mix(word: int) -> int:
    """A 64-bit word that looks unrelated to `word`; the generator's output step, also a hash of small integers."""
    word &= _MASK
    word = (word ^ (word >> 30)) * 0xBF58_476D_1CE4_E5B9 & _MASK
    word = (word ^ (word >> 27)) * 0x94D0_49BB_1331_11EB & _MASK
    return word ^ (word >> 31)


def next_random(state: int) -> tuple[int, int]:
    """The next state and 64 random bits."""
    state = (state + _GAMMA) & _MASK
    return state, mix(state)


def seed_of(seed: int, *words: int | str) -> int:
    """A start of its own for each sequence of words: the same words under another seed give another start."""
    state = mix(seed + _GAMMA)
    for word in words:
        if isinstance(word, str):
            for character in word:
                state = mix((state ^ ord(character)) + _GAMMA)
            state = mix(~state)  # where a text ends matters: ("BTC", "USDT") is not ("BTCUSDT",)
        else:
            state = mix((state ^ (word & _MASK)) + _GAMMA)
    return state


#: Sum of four 16-bit uniforms: mean and standard deviation (sqrt(4 * (2**32 - 1) / 12) is 37,837).
_SUM_MEAN = 131_070
_SUM_DEVIATION = 37_837


def shock_e6(bits: int) -> int:
    """64 random bits as a nearly normal number: mean 0, standard deviation 1,000,000, never beyond 3.47 deviations."""
    total = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48 & 0xFFFF)
    return (total - _SUM_MEAN) * 1_000_000 // _SUM_DEVIATION
