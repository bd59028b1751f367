"""Translate one photo: python translate_one.py ENGINE PHOTO OUTPUT"""

import sys
from pathlib import Path

from ugatit_fast import Translator
from ugatit_fast.media.fitting import fit_image
from ugatit_fast.media.images import load_image, save_image

engine, photo, output = map(Path, sys.argv[1:])
with Translator(engine) as translator:
    size = translator.spec.height, translator.spec.width
    picture = fit_image(load_image(photo), size, "crop")
    (translated,) = translator.run(picture[None])  # a batch of one, uint8 (1, height, width, 3)
save_image(output, translated)
