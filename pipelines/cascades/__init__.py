"""What follows from outputs, watched in the role store: loops, deep chains, bursts of actions, reach of findings."""
