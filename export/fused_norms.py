"""Normalisation as OpenVINO computes it fastest: as few passes over an activation as its kernels allow.

Instance norms are one operator there (MVN), which the ReLU, the residual and the rounding to eight bits join. Where a
layer norm is mixed in, the statistics have to be seen: a mean, the deviations, and their L2 norm, which takes one pass
where a product and its mean take two. What was tried instead is in docs/decisions.md.
"""

from collections.abc import Sequence

import numpy as np

from ugatit_fast.export.onnx_activations import ActivationWriter
from ugatit_fast.export.onnx_norms import Ending, NativeNorms
from ugatit_fast.folded_weights import StageWeights


class FusedNorms(NativeNorms):
    """Norms of float32 activations with channels first, of any size."""

    def __init__(self, writer: ActivationWriter) -> None:
        super().__init__(writer, None)
        self.apart: dict[str, Sequence[str]] = {}
        """First plane of an image -> (n, c, 1, 1) that each of its planes lacks, if any."""

    def normalised(self, x: str, weights: StageWeights, ending: Ending) -> str:
        if weights.rho is not None or ending.style is not None:
            return self.of_planes([x], weights, ending)[0]
        gamma = np.ones(ending.channels, np.float32) if weights.gamma is None else weights.gamma.numpy()
        beta = np.zeros(ending.channels, np.float32) if weights.beta is None else weights.beta.numpy()
        own = [self.writer.builder.constant(gamma, weights.name("gamma"))]
        own.append(self.writer.builder.constant(beta, weights.name("beta")))
        return self.node("InstanceNormalization", x, *own, epsilon=ending.options.eps)

    def phases(self, planes: Sequence[str], weights: StageWeights, ending: Ending) -> list[str]:
        """`norm` of an image that lies in planes of every second pixel, and its ReLU; they stay apart."""
        made = self.of_planes(planes, weights, ending)
        return [self.node("Relu", plane) for plane in made] if ending.options.relu else made

    def of_planes(self, planes: Sequence[str], weights: StageWeights, ending: Ending) -> list[str]:
        """Each plane normalised by the statistics of all."""
        apart = self.apart.get(planes[0], ())
        node, reduced, plane_axes = self.node, self.writer.reduced, self.writer.layout.plane
        means = [reduced("ReduceMean", plane, *plane_axes) for plane in planes]
        if apart:
            means = [node("Add", *both) for both in zip(means, apart, strict=True)]
        mean = self.average(means)
        zeros = [node("Sub", mean, one) for one in apart] or [mean] * len(planes)
        deviations = [node("Sub", *both) for both in zip(planes, zeros, strict=True)]
        norms = [reduced("ReduceL2", deviation, *plane_axes) for deviation in deviations]
        squares = self.average([node("Mul", norm, norm) for norm in norms])
        variance = node("Div", squares, self.measured_pixels(planes[0]))
        if weights.rho is None:
            return [self.instance_norm(deviation, variance, weights, ending) for deviation in deviations]
        scale, shift = self.mixed_norm(planes[0], mean, variance, weights, ending, len(planes))
        return [node("Add", node("Mul", deviation, scale), shift) for deviation in deviations]

    def average(self, vectors: Sequence[str]) -> str:
        return vectors[0] if len(vectors) == 1 else self.node("Mean", *vectors)
