"""Translate a video frame by frame, without its sound: python translate_video.py ENGINE VIDEO OUTPUT

One frame at a time, for programs that do something of their own with the frames.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter

import av

from ugatit_fast import Translator
from ugatit_fast.media.fitting import fit_image

parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
for name in ("engine", "video", "output"):
    parser.add_argument(name)
chosen = parser.parse_args()
with Translator(chosen.engine) as translator, av.open(chosen.video) as video, av.open(chosen.output, "w") as output:
    size = height, width = translator.spec.height, translator.spec.width
    stream = output.add_stream("libx264", rate=video.streams.video[0].average_rate)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    for frame in video.decode(video=0):
        picture = fit_image(frame.to_ndarray(format="rgb24"), size, "crop")
        translated = av.VideoFrame.from_ndarray(translator.run(picture[None])[0], format="rgb24")
        output.mux(stream.encode(translated))
    output.mux(stream.encode(None))
