"""Normalisations of pixel rows, written into an ONNX graph."""

from dataclasses import replace

from ugatit_fast.export.row_writer import Rows, RowWriter
from ugatit_fast.folded_weights import StageWeights
from ugatit_fast.model import EPS


class RowNorms(RowWriter):
    """Normalisation, ReLU and addition; the affine map's shift stays a constant beside the rows."""

    def norm(
        self,
        x: Rows,
        weights: StageWeights,
        style: tuple[str, str] | None,
        unbiased: bool,
        relu: bool,
        *,
        eps_outside: bool = False,
    ) -> Rows:
        """The family of `ugatit_fast.kernels.adalin` on rows; the result leaves `b` to its constant."""
        deviation, mean, variance = self.statistics(x)
        a, b = self.coefficients(x, weights, style, mean, variance, unbiased, eps_outside)
        scaled = replace(x, value=self.per_channel("Mul", x, deviation, a), constant=b)
        return self.rectified(scaled, b) if relu else scaled

    def coefficients(
        self,
        x: Rows,
        weights: StageWeights,
        style: tuple[str, str] | None,
        mean: str,
        variance: str,
        unbiased: bool,
        eps_outside: bool,
    ) -> tuple[str, str | None]:
        """a and b, by which a norm is a * deviation + b. mean: of the rows, without the constant of x."""
        gamma, beta = style or (self.optional(weights, "gamma"), self.optional(weights, "beta"))
        scale_c = self.inverse_root(variance, self.pixels(x), unbiased, eps_outside)
        if weights.rho is None:
            a, b = self.times(scale_c, gamma), beta
        else:
            mean = self.plus(self.plus(mean, x.constant), self.optional(weights, "bias"))
            offset = self.node("Sub", mean, self.over_channels(mean))
            spread = self.node("Add", variance, self.node("Mul", offset, offset))
            count = self.rows.op("Mul", self.pixels(x), self.scalar(float(x.channels)))
            scale = self.inverse_root(self.over_channels(spread), count, unbiased, eps_outside)
            rho = self.vector(weights, "rho")
            layer_part = self.times(self.node("Mul", self.node("Sub", self.scalar(1.0), rho), scale), gamma)
            a = self.node("Add", self.times(self.node("Mul", rho, scale_c), gamma), layer_part)
            b = self.plus(self.node("Mul", layer_part, offset), beta)
        return a, b

    def moved(self, x: Rows, weights: StageWeights, bias: str | None, slope: float | None) -> Rows:
        """What follows a convolution without a normalisation: a bias, and ReLU. slope: of that below zero; None for
        none.
        """
        b = bias if x.constant is None else self.plus(x.constant, bias)
        return replace(x, constant=b) if slope is None else self.rectified(x, b, slope)

    def statistics(self, x: Rows) -> tuple[str, str, str]:
        """Deviations from the channel means, these means, and the biased variances (n, 1, c)."""
        mean = self.mean(x.value, x)
        deviation = self.per_channel("Sub", x, x.value, mean)
        return deviation, mean, self.mean(self.node("Mul", deviation, deviation), x)

    def rectified(self, x: Rows, b: str | None, slope: float = 0.0) -> Rows:
        """relu(x + b), with relu(b) left to the constant, so that zero stays exactly zero.

        Not where the border is of zeros, and x without its constant never zero throughout: that saves a pass.
        """
        if b is None:
            return replace(x, value=self.relu(x.value, slope), constant=None)
        if x.pad_mode == "zero":
            return replace(x, value=self.relu(self.per_channel("Add", x, x.value, b), slope), constant=None)
        constant = self.relu(b, slope)
        active = self.relu(self.per_channel("Add", x, x.value, b), slope)
        return replace(x, value=self.per_channel("Sub", x, active, constant), constant=constant)

    def relu(self, value: str, slope: float) -> str:
        return self.node("LeakyRelu", value, alpha=slope) if slope else self.node("Relu", value)

    def added(self, residual: Rows, x: Rows) -> Rows:
        """The residual addition; constants add up apart."""
        assert residual.layout == x.layout, "rows are in one order"
        constant = residual.constant if x.constant is None else self.plus(x.constant, residual.constant)
        return replace(x, value=self.node("Add", residual.value, x.value), constant=constant)

    def inverse_root(self, variance: str, count: str, unbiased: bool, eps_outside: bool) -> str:
        """1 / sqrt(variance + eps), or 1 / (sqrt(variance) + eps), the variance corrected by count / (count - 1) where
        unbiased.
        """
        if unbiased:
            correction = self.rows.op("Div", count, self.rows.op("Sub", count, self.scalar(1.0)))
            variance = self.node("Mul", variance, correction)
        if eps_outside:
            return self.node("Reciprocal", self.node("Add", self.node("Sqrt", variance), self.scalar(EPS)))
        return self.node("Reciprocal", self.node("Sqrt", self.node("Add", variance, self.scalar(EPS))))

    def over_channels(self, vector: str) -> str:
        return self.node("ReduceMean", vector, self.builder.integers(2), keepdims=1)
