"""Translator: pictures in, pictures of the same kind out, on whatever engine it was given.

translator.py   a batch of uint8 pictures through an engine, and what people call around it
kinds.py        batches: NumPy or torch, uint8 or floating point
"""

from ugatit_fast.translator.translator import Translated, Translates, Translator, describe_engine

__all__ = ["Translated", "Translates", "Translator", "describe_engine"]
