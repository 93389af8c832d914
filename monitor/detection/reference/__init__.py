"""What is normal: the learned reference and its statistics."""
