"""Business totals: what the source says of its orders and events, and what became of each of them."""
