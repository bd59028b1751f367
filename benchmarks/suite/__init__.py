"""How fast every engine is here, against every rival this machine can run, and against what the hardware allows.

    contenders -> race (one process each, interleaved rounds, correctness first) -> results -> tables, charts, compare

`suite.py` is the whole run; everything else is one part of that sentence. A run, in the order of things:

1. `suite.run_suite` takes a `Plan`: files or seeded weights (`random_weights`), sizes, batches, directions. It makes a
   `Case` of each network, and begins `results.Results` with the machine and its condition (`environment`).
2. `kernels` times the operations alone, on the shapes of `kernel_subjects`.
3. `contenders` is the table of who may take part: our engines (`engines`) and the rivals (`torch_rivals`,
   `onnx_rivals`, `mnn_rival`, `tensorrt_rivals`). A row names its module in a text, so that a library is imported
   only in the process that times it. What the hardware can do (`limits`) takes part like any contender.
4. `race` sets all of them against each other, case by case. Each is a `worker.Worker` here and a `session.Session` in
   its own process, asked in turn: build, load, translate the `pictures`, and, only if they are right, warm up. Then
   come rounds in which each has its turn, timed by `clock`. What fails is a row with its reason.
5. `roofline` puts the rows beside the limits of the same rounds, by what `cost` counts in the folded graph.
6. `endtoend` follows photos from file to file; `scaling` grows the batch, the picture, the channels and the threads.
7. All the while `results` is on disk as JSON, written anew after every round. `report` writes its page (`tables`) and
   its `charts`, `gate` says whether the run is a failure, `compare` sets two files against each other, and `readme`
   makes README's table of one.
"""
