"""Two readings of one language compared by generation: random mappings over random and nasty records."""
