"""A whole fleet in memory, second by second: the agent's and the gate's own decisions, and nothing between them."""
