"""Images to checkpoint: data, discriminators, losses, the loop and its evaluation."""
