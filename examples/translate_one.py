"""Translate one photo: python translate_one.py WEIGHTS PHOTO OUTPUT"""

import sys

from ugatit_fast import Translator

weights, photo, output = sys.argv[1:]
with Translator(weights) as translator:
    translated = translator(photo)  # a Pillow image; arrays, bytes and lists come back as they went in
translated.save(output)
