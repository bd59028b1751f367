"""The fused operations of the folded graph, one a file: formula, PyTorch reference, Triton kernel and launcher."""
