"""A Gradio page for an engine: pip install gradio; python gradio_app.py ENGINE"""

from argparse import ArgumentParser

import numpy as np
from numpy.typing import NDArray

from ugatit_fast import Translator
from ugatit_fast.media.fitting import fit_image

parser = ArgumentParser(description=__doc__)
parser.add_argument("engine")
translator = Translator(parser.parse_args().engine)


def translate(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 RGB (h, w, 3) -> the same of the engine's size."""
    picture = fit_image(photo, (translator.spec.height, translator.spec.width), "crop")
    return translator.run(picture[None])[0]


import gradio  # noqa: E402 - after what --help needs

page = gradio.Interface(translate, "image", "image", title="U-GAT-IT", flagging_mode="never", analytics_enabled=False)
page.launch()
