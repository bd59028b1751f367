"""What the assembler made of a kernel: registers, spills, and how many instructions a warp issues.

Read from NVIDIA's own disassembler, which Triton carries. An instruction that a warp issues serves one element of each
of its threads, so instructions an element are what they say whatever the number of threads.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import triton

RARE = 60
"""Instructions: a forward branch over more than these leaves out what a usual tile doesn't do, such as borders."""


@dataclass(frozen=True)
class MachineCode:
    """The instructions of a kernel in order, and where its labels stand among them."""

    cubin: bytes

    @cached_property
    def parsed(self) -> tuple[list[str], dict[str, int]]:
        instructions: list[str] = []
        labels: dict[str, int] = {}
        for line in tool(triton.knobs.nvidia.nvdisasm.path, self.cubin, "-c").splitlines():
            if label := re.match(r"\s*(\.L_x_\d+):", line):
                labels[label[1]] = len(instructions)
            elif instruction := re.search(r"/\*[0-9a-f]{4,}\*/\s+(.*?);", line):
                instructions.append(instruction[1].strip())
        return instructions, labels

    @cached_property
    def branches(self) -> list[tuple[int, int]]:
        """(from, to) of every conditional one."""
        instructions, labels = self.parsed
        found = ((i, re.match(r"@.*\bBRA\b.*`\((\.L_x_\d+)\)", text)) for i, text in enumerate(instructions))
        return [(i, labels[match[1]]) for i, match in found if match]

    def straight(self) -> int:
        """Instructions from the first to the last without those that are rarely needed: see RARE."""
        instructions, _ = self.parsed
        left_out = {i for start, end in self.branches if end - start > RARE for i in range(start + 1, end)}
        return sum(not text.startswith("NOP") for i, text in enumerate(instructions) if i not in left_out)

    def largest_loop(self) -> int:
        """Instructions of the longest loop that has no other in it; 0 where there is none."""
        loops = [(end, start) for start, end in self.branches if end <= start]
        innermost = [loop for loop in loops if not any(loop[0] <= begin and end < loop[1] for begin, end in loops)]
        return max((end - begin + 1 for begin, end in innermost), default=0)

    def count(self, mnemonic: str) -> int:
        """Instructions of that name."""
        instructions, _ = self.parsed
        return sum(re.search(rf"^(@!?U?P\w+ )?{mnemonic}\b", text) is not None for text in instructions)

    def registers_and_spills(self) -> tuple[int, int]:
        """(registers, bytes of stack) of a thread: no kernel here has a stack of its own, so its bytes are spills."""
        report = tool(triton.knobs.nvidia.cuobjdump.path, self.cubin, "--dump-resource-usage")
        found = re.search(r"REG:(\d+) STACK:(\d+)", report)
        assert found, report
        return int(found[1]), int(found[2])


def tool(program: str, cubin: bytes, option: str) -> str:
    """What one of NVIDIA's programs says of compiled code."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        return subprocess.run([program, option, str(file)], capture_output=True, text=True, check=True).stdout
