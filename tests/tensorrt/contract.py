"""Runs under a real TensorRT binding: does everything in it exist that our sources use, with the parameters we give?

Uses are collected from the sources. Names are looked up; calls of methods are held to the signatures in the binding's
documentation strings, with types of variables from annotations, constructors and what calls are documented to give.
test_contract.py starts it; prints what it checked.
"""

import ast
import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path

import tensorrt as trt

SIGNATURE = re.compile(r"^(?:\d+\. )?(\w+)\(self: [\w.]+(.*)\) -> (.*)$", re.MULTILINE)
LIBRARIES = tuple(name for name in ("tensorrt", "tensorrt_rtx") if importlib.util.find_spec(name))
"""Under TensorRT for RTX's binding it has both names: what both libraries do is written for TensorRT."""
GENERIC = "*args, **kwargs"


class Signature:
    """One documented way to call a method."""

    def __init__(self, parameters: str, result: str) -> None:
        parts = [part.strip() for part in split_outside_brackets(parameters) if part.strip()]
        self.names = [part.split(":")[0].strip() for part in parts]
        self.required = sum("=" not in part for part in parts)
        self.result = re.split(r"[.:]", result)[-1].replace("IParserError", "ParserError")

    def takes(self, positional: int, keywords: list[str]) -> bool:
        given = self.names[:positional] + keywords
        return (
            positional <= len(self.names)
            and set(keywords) <= set(self.names[positional:])
            and set(self.names[: self.required]) <= set(given)
        )


def split_outside_brackets(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[(<") - (character in "])>")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def signatures(cls: str, method: str) -> list[Signature]:
    documentation = getattr(getattr(trt, cls), method).__doc__ or ""
    return [Signature(found[2], found[3]) for found in SIGNATURE.finditer(documentation) if GENERIC not in found[2]]


class Uses(ast.NodeVisitor):
    """Names of TensorRT in one source file, and calls of methods on its objects."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.modules: dict[str, str] = {}
        self.types: dict[str, str] = {}
        self.names: set[str] = set()
        self.calls: set[str] = set()
        self.problems: list[str] = []

    def problem(self, node: ast.expr, text: str) -> None:
        self.problems.append(f"{self.path.name}:{node.lineno}: {text}")

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] in LIBRARIES:
                self.modules[alias.asname or alias.name] = alias.name

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain = dotted(node)
        module = self.modules.get(chain.split(".")[0]) if chain else None
        if module is None:
            self.generic_visit(node)
            return None
        self.names.add(chain)
        found = importlib.import_module(module)
        for part in chain.split(".")[1:]:
            found = getattr(found, part, None)
            if found is None:
                return self.problem(node, f"{module} {trt.__version__} has no {chain}")
        return None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outside = self.types.copy()
        for argument in node.args.args:
            self.note(argument.arg, argument.annotation)
        self.generic_visit(node)
        self.types = outside | {name: given for name, given in self.types.items() if name.startswith("self.")}

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        self.note(dotted(node.target), node.annotation)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            else:
                pairs = [(target, node.value)]
            for left, right in pairs:
                if given := self.type_of(right):
                    self.types[dotted(left)] = given
                else:
                    self.types.pop(dotted(left), None)
                if isinstance(left, ast.Attribute):
                    self.check_attribute(left)

    def note(self, name: str, annotation: ast.expr | None) -> None:
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = ast.parse(annotation.value, mode="eval").body
        for part in ast.walk(annotation) if annotation else ():
            chain = dotted(part)
            if chain.count(".") == 1 and chain.split(".")[0] in self.modules:
                self.types[name] = chain.split(".")[1]

    def type_of(self, value: ast.expr) -> str | None:
        """The class of TensorRT that an expression gives, where that is known."""
        if isinstance(value, ast.Subscript):  # of a container of them
            return self.type_of(value.value)
        if not isinstance(value, ast.Call):
            field = value.attr if isinstance(value, ast.Attribute) else ""
            return self.types.get(dotted(value)) or self.types.get(field)
        chain = dotted(value.func)
        if chain.count(".") == 1 and chain.split(".")[0] in self.modules:
            return chain.split(".")[1]
        if isinstance(value.func, ast.Attribute) and (owner := self.type_of(value.func.value)):
            results = {signature.result for signature in signatures(owner, value.func.attr)}
            return next((result for result in results if hasattr(trt, result)), None)
        return None

    def check_attribute(self, node: ast.Attribute) -> None:
        owner = self.type_of(node.value)
        if owner and hasattr(trt, owner) and not hasattr(getattr(trt, owner), node.attr):
            self.problem(node, f"{owner} of {trt.__version__} has no {node.attr}")

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Attribute):
            return
        owner, method = self.type_of(node.func.value), node.func.attr
        if owner is None or not hasattr(trt, owner):
            return
        if not hasattr(getattr(trt, owner), method):
            self.problem(node, f"{owner} of {trt.__version__} has no {method}")
            return
        self.calls.add(f"{owner}.{method}")
        known = signatures(owner, method)
        keywords = [keyword.arg or "" for keyword in node.keywords]
        if known and not any(signature.takes(len(node.args), keywords) for signature in known):
            self.problem(node, f"{owner}.{method} of {trt.__version__} isn't called like this")


def dotted(node: ast.AST) -> str:
    """`a.b.c` of names and attributes; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def overridden_methods(path: Path) -> list[str]:
    """Problems with methods of ours that TensorRT calls: subclasses of its classes."""
    problems = []
    for cls in [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]:
        bases = [dotted(base) for base in cls.bases if dotted(base).startswith("trt.")]
        methods = [node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name != "__init__"]
        for base in bases:
            for method in methods:
                known = signatures(base[4:], method.name) if hasattr(getattr(trt, base[4:]), method.name) else []
                ours = [argument.arg for argument in method.args.args[1:]]
                if not any(signature.names == ours for signature in known):
                    problems.append(f"{path.name}: {base}.{method.name} of {trt.__version__} isn't given {ours}")
    return problems


def surface_of_the_fake(path: Path) -> tuple[list[str], int]:
    """Problems with the fake: classes, members and parameters that the real binding doesn't have."""
    specification = importlib.util.spec_from_file_location("fake", path)
    assert specification
    assert specification.loader
    fake = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(fake)
    problems, checked = [], 0
    classes = {name: cls for name, cls in vars(fake).items() if inspect.isclass(cls) and cls.__module__ == "fake"}
    for name, cls in classes.items():
        if name in ("Faults", "Counts"):
            continue
        if not hasattr(trt, name):
            problems.append(f"the fake has {name}, TensorRT {trt.__version__} has not")
            continue
        for member, value in vars(cls).items():
            if member.startswith("_"):
                continue
            checked += 1
            if not hasattr(getattr(trt, name), member):
                problems.append(f"the fake has {name}.{member}, TensorRT {trt.__version__} has not")
            elif inspect.isfunction(value):
                ours = list(inspect.signature(value).parameters)[1:]
                known = signatures(name, member)
                if known and not any(ours == s.names[: len(ours)] and s.takes(len(ours), []) for s in known):
                    problems.append(f"the fake's {name}.{member}{ours} has other parameters in {trt.__version__}")
    return problems, checked


def main(fake: str, *sources: str) -> int:
    problems, names, calls = [], set(), set()
    for source in map(Path, sources):
        uses = Uses(source)
        uses.visit(ast.parse(source.read_text()))
        problems += uses.problems + overridden_methods(source)
        names |= uses.names
        calls |= uses.calls
    wrong, checked = surface_of_the_fake(Path(fake))
    print("\n".join(problems + wrong))
    print(f"{len(names)} names, {len(calls)} methods called, {checked} members of the fake: {trt.__version__}")
    print(*sorted(calls))
    return 1 if problems + wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
