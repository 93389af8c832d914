"""The Faust app: topics, agents, positions, checkpoints. Wiring and nothing else: what it wires is pure and below."""
