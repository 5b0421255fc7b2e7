"""The generator draws the numbers that everybody's splitmix64 draws, and its shocks are nearly normal."""

from __future__ import annotations

from statistics import fmean, pstdev

from sparekey.market.prng import next_random, seed_of, shock_e6


def test_it_is_splitmix64() -> None:
    """Reference outputs for the seed 1234567, as published with the task "Pseudo-random numbers/Splitmix64"
    of rosettacode.org."""
    state, drawn = 1_234_567, []
    for _ in range(5):
        state, bits = next_random(state)
        drawn.append(bits)
    assert drawn == [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
        4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
    ]


def test_states_stay_within_sixty_four_bits_wherever_they_start() -> None:
    for state in (0, 2**64 - 1, 2**80, -5):
        state, bits = next_random(state)
        assert 0 <= state < 2**64 and 0 <= bits < 2**64


def test_every_sequence_of_words_has_a_start_of_its_own() -> None:
    starts = {
        seed_of(seed, *words)
        for seed in (0, 1, 2**64 - 1)
        for words in ((), ("BTC",), ("BTCUSDT",), ("USDT", "BTC"), ("BTC", "USDT"), ("BTC", 1), ("BTC", -1))
    }
    assert len(starts) == 3 * 7


def test_shocks_have_mean_zero_and_deviation_one() -> None:
    state, shocks = 1, []
    for _ in range(20_000):
        state, bits = next_random(state)
        shocks.append(shock_e6(bits))
    assert abs(fmean(shocks)) < 3 * 1_000_000 / 20_000**0.5
    assert abs(pstdev(shocks) - 1_000_000) < 20_000
    assert 2_500_000 < max(shocks) < 3_500_000
    within_one = sum(abs(shock) < 1_000_000 for shock in shocks) / len(shocks)
    assert 0.64 < within_one < 0.72  # a normal variable: 0.683
