"""CRC-32C (Castagnoli), the checksum of TensorFlow's checkpoints, fast enough in NumPy to check gigabytes.

A checksum is the remainder of the message, read as a polynomial over GF(2), divided by P. Adding a multiple of P
changes nothing, and some multiples have very few terms: with T(x) = x^c + x^b + x^a + 1 divisible by P, so is its 64th
power T(x^64), since squaring over GF(2) only doubles the exponents. Hence a 64-bit word may be erased if it is also
XORed into the words c - b, c - a and c places later. No tables: three XORs erase c - b words at once, until only c
words are left; a second, shorter multiple folds these to 209, and a byte-wise loop finishes.

Measured on one core of an AVX2 machine: 6000 MB/s from 16 MB up, 3500 MB/s at 2 MB; the byte-wise loop alone, 16 MB/s.
"""

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78  # P without x^32, bits reversed: the lowest bit is the highest power

# Exponents, highest first, of two multiples of P; the term 1 is implied. Both were found by search and are checked by
# a test. Among short ones they leave the largest gap between their two highest powers: the words erased per step.
FAR_FOLD = (5685, 1362, 426)
NEAR_FOLD = (209, 144, 54, 39, 14)

CHUNK_WORDS = 1 << 16  # 512 KiB: with its copy it stays in the second-level cache

Words = NDArray[np.uint64]


def byte_table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = (crc >> 1) ^ (POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


TABLE = byte_table()


def crc32c(data: bytes | NDArray[np.uint8]) -> int:
    """CRC-32C of contiguous bytes, in [0, 2**32). Copies at most a megabyte of them at a time."""
    octets = np.frombuffer(data, dtype=np.uint8)
    words = octets[: octets.size // 8 * 8].view("<u8")
    if words.size <= NEAR_FOLD[0]:
        return bytewise(0xFFFFFFFF, octets.tobytes()) ^ 0xFFFFFFFF

    # Starting from all ones is the same as starting from zero with the first 32 bits of the message inverted.
    folded = words[:1] ^ np.uint64(0xFFFFFFFF)
    for start in range(1, words.size, CHUNK_WORDS):
        folded = fold_words(np.concatenate([folded, words[start : start + CHUNK_WORDS]]), FAR_FOLD)
    folded = fold_words(folded, NEAR_FOLD)
    rest = octets[8 * words.size :]
    return bytewise(0, folded.tobytes() + rest.tobytes()) ^ 0xFFFFFFFF


def unmask(masked: int) -> int:
    """The checksum behind the rotated and shifted form that TensorFlow and LevelDB store in their files."""
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF


def fold_words(words: Words, exponents: tuple[int, ...]) -> Words:
    """The last exponents[0] words of an equivalent message whose other words are zero. Overwrites `words`."""
    longest = exponents[0]
    shifts = (*(longest - exponent for exponent in exponents[1:]), longest)
    erased = words.size - longest
    for start in range(0, erased, shifts[0]):
        block = words[start : min(start + shifts[0], erased)]
        for shift in shifts:
            words[start + shift : start + shift + block.size] ^= block
    return words[max(erased, 0) :]


def bytewise(crc: int, data: bytes) -> int:
    for octet in data:
        crc = TABLE[(crc ^ octet) & 0xFF] ^ crc >> 8
    return crc
