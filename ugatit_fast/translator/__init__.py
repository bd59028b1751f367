"""Translator: pictures in, pictures of the same kind out, on whatever engine it was given.

    translator.py   a batch of uint8 pictures through an engine, and what people call around it
    pictures.py     what people type: paths, bytes, Pillow images, one picture or many
    kinds.py        batches: NumPy or torch, uint8 or floating point
    styles.py       a style as people say it, as the numbers that an engine takes

What takes weights in place of an engine is a floor up: `ugatit_fast.Translator`.
"""

from ugatit_fast.translator.styles import GivenStyle
from ugatit_fast.translator.translator import InStyle, Translated, Translates, Translator, describe_engine

__all__ = ["GivenStyle", "InStyle", "Translated", "Translates", "Translator", "describe_engine"]
