"""Translate one photo: python translate_one.py WEIGHTS PHOTO OUTPUT"""

from argparse import ArgumentParser

from ugatit_fast import Translator

parser = ArgumentParser(description=__doc__)
for name in ("weights", "photo", "output"):
    parser.add_argument(name)
chosen = parser.parse_args()
with Translator(chosen.weights) as translator:
    translated = translator(chosen.photo)  # a Pillow image; arrays, bytes and lists come back as they went in
translated.save(chosen.output)
