"""`ugatit-fast export-triton-repo`."""

from pathlib import Path

from ugatit_fast.commands.arguments import Flag, say_next
from ugatit_fast.export.triton_repository import export_triton_repo


def triton_repo_command(
    engine: Path,
    repository: Path,
    /,
    *,
    name: str | None = None,
    max_batch: int | None = None,
    max_wait_ms: float = 5,
    overwrite: Flag = False,
) -> None:
    """Write an engine into a model repository of NVIDIA's Triton Inference Server.

    ```
    ugatit-fast export-triton-repo selfie2anime.onnx models/
    ugatit-fast export-triton-repo selfie2anime.onnx models/ --overwrite
    ```

    Parameters
    ----------
    engine
        An onnxruntime engine, or a tensorrt engine built with --dynamic-batch.
    repository
        The repository's folder; made if missing. Other models in it stay.
    name
        Of the model; the engine file's unless given.
    max_batch
        Most pictures in one batch; what the engine was built for, or 8 for an engine for any number.
    max_wait_ms
        How long a request waits for others to share its batch, in milliseconds; none does for an engine for CPUs.
    overwrite
        Replace a model of that name.
    """
    written = export_triton_repo(
        engine, repository, name=name, max_batch=max_batch, max_wait_ms=max_wait_ms, overwrite=overwrite
    )
    print(f"{written.folder}: needs {written.needs}")
    say_next(f"tritonserver --model-repository {repository.resolve()}")
