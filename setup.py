"""Names the packages and where each lives; everything else is in pyproject.toml.

The folders below install as ugatit_fast.<name>, with the packages inside them. The links ugatit_fast/<name> show the
same names to a bare checkout, editable installs, mypy and IDEs; the search skips them, so that no module is packaged
twice.
"""

from setuptools import find_packages, setup

FOLDERS = {"kernels": "kernels", "export": "export", "train": "train", "assets": "assets", "bench": "benchmarks/suite"}
linked = {f"ugatit_fast.{name}": folder for name, folder in FOLDERS.items()}
inside = [f"{name}.{package}" for name, folder in linked.items() for package in find_packages(folder)]
above = find_packages(include=["ugatit_fast", "ugatit_fast.*"], exclude=[*linked, *(f"{name}.*" for name in linked)])

setup(packages=[*above, *linked, *inside], package_dir=linked)
