"""Weights that people have -> a generator and what is known about it.

    read.py            a path -> Checkpoint, told by content, every tensor checked
    contents.py        what a Checkpoint is, and the facts that `inspect` prints
    search.py          which of all the tensors in a file are the generator
    told.py            what names say and leave open, and what is assumed then
    pytorch.py         what torch.save wrote                                     (github.com/znxlwm/UGATIT-pytorch)
    torch_pickle.py    the pickle in it, nothing of it executed
    zip_torch_file.py  its archives, packed again or unpacked, too
    old_torch_file.py  the files that PyTorch wrote before 1.6, without reading them whole
    tensorflow.py      TensorFlow's checkpoints: whose, and those whose variables are a network's tensors
    tensorflow_ugatit.py  U-GAT-IT's                                             (github.com/taki0112/UGATIT)
    tensorflow_names.py   what its variables are called
    tensorflow_variables.py  the variables of one generator
    own_file.py        our safetensors, in and out
    layout.py          what the tensors themselves say
    sanity.py          does it draw pictures?

A file is told by its content, never by its name, and nothing in it is ever executed.
"""

from ugatit_fast.checkpoint.contents import DIRECTIONS, Checkpoint, facts_of, ugatit_config
from ugatit_fast.checkpoint.own_file import save_generator, write_safetensors
from ugatit_fast.checkpoint.read import load_generator, read_checkpoint
from ugatit_fast.checkpoint.sanity import SuspiciousWeightsWarning, check_pictures
from ugatit_fast.checkpoint.search import NETWORKS

__all__ = [
    "DIRECTIONS",
    "NETWORKS",
    "Checkpoint",
    "SuspiciousWeightsWarning",
    "check_pictures",
    "facts_of",
    "load_generator",
    "read_checkpoint",
    "save_generator",
    "ugatit_config",
    "write_safetensors",
]
