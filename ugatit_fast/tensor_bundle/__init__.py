"""Read TensorFlow checkpoints (tensor bundles, what `tf.train.Saver` writes) without TensorFlow.

A checkpoint `PREFIX` is one small file, `PREFIX.index`, and one or more data files (shards) named like
`PREFIX.data-00000-of-00001`. The data files hold nothing but the tensors' bytes, end to end; they are memory-mapped,
never read whole. The index is a sorted table of protocol-buffer messages that say what lies where.

    locate.py  whatever the user names -> prefix      leveldb_table.py  index file -> sorted table
    index.py   table -> entries                       bundle.py         entries and data files -> arrays

Nothing in the files is believed before it is checked: every block of the index carries a CRC-32C, every place and size
is held against the length of the file it points into. What is wrong becomes a CheckpointError.
"""

from ugatit_fast.tensor_bundle.bundle import TensorBundle
from ugatit_fast.tensor_bundle.index import Entry
from ugatit_fast.tensor_bundle.locate import find_prefix, looks_like_bundle

__all__ = ["Entry", "TensorBundle", "find_prefix", "looks_like_bundle"]
