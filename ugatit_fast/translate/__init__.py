"""Many photos and clips through one Translator: sources -> framing -> products -> sinks -> report."""
