"""Names the packages and where each lives; everything else is in pyproject.toml.

The top-level folders below install as ugatit_fast.<folder>. The links ugatit_fast/<folder> show the same names to a
bare checkout, editable installs, mypy and IDEs; the search skips them, so that no module is packaged twice.
"""

from setuptools import find_packages, setup

TOP_LEVEL_FOLDERS = ("kernels", "export", "train", "assets")
linked = {f"ugatit_fast.{folder}": folder for folder in TOP_LEVEL_FOLDERS}

setup(
    packages=[*find_packages(include=["ugatit_fast", "ugatit_fast.*"], exclude=list(linked)), *linked],
    package_dir=linked,
)
