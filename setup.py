"""Names the packages and where each lives; everything else is in pyproject.toml.

The folders below install as ugatit_fast.<name>, with the packages inside them. The links ugatit_fast/<name> show the
same names to a bare checkout, editable installs, mypy and IDEs; the search skips them, so that no module is packaged
twice. A source distribution keeps them as links, so that its tests run where it is unpacked.
"""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.sdist import sdist

FOLDERS = {"kernels": "kernels", "export": "export", "train": "train", "assets": "assets", "bench": "benchmarks/suite"}
linked = {f"ugatit_fast.{name}": folder for name, folder in FOLDERS.items()}
inside = [f"{name}.{package}" for name, folder in linked.items() for package in find_packages(folder)]
above = find_packages(include=["ugatit_fast", "ugatit_fast.*"], exclude=[*linked, *(f"{name}.*" for name in linked)])


class SdistWithLinks(sdist):
    """setuptools lists files, and a link to a folder is none; MANIFEST.in keeps what is behind it from coming twice."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        for name, folder in FOLDERS.items():
            (Path(base_dir) / "ugatit_fast" / name).symlink_to(Path("..") / folder, target_is_directory=True)


setup(packages=[*above, *linked, *inside], package_dir=linked, cmdclass={"sdist": SdistWithLinks})
