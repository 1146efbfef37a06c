"""The command line: each file parses, opens, calls one stage and prints. No decisions are made here."""
