"""What left Datatrics, as Parquet: written once, then only read."""
