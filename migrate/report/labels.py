"""The words that stand on pages and in lists beside the sentences: heads, kinds, verdicts, and what they mean.

All of them are English here and are said in the reader's language by `migrate.report.words`.
"""

from __future__ import annotations

KINDS = (
    ("create", "new"),
    ("update", "changed"),
    ("unknown", "new or changed"),
    ("unchanged", "already the same"),
    ("collapsed", "part of another row"),
    ("filtered", "left out on purpose"),
    ("rejected", "rejected"),
)
"""What becomes of a row, in the order of a bar."""

CORRECTION_HEADS = {
    "resource": "List",
    "source": "Source",
    "id": "Id",
    "dataset": "Dataset",
    "field": "Field",
    "sent": "Value as sent",
    "wrong": "What is wrong with it",
    "value": "Right value",
    "why": "Why (for the record)",
    "by": "Who says so",
    "check": "Check",
}
"""Over the columns of a workbook of values to put right."""
CORRECTION_NOTES = (
    "How to fill this in",
    "Each sheet has the values that broke one rule. Type the right value into the coloured cell of its row.",
    "Leave a row empty if you do not know; nothing happens to it then. Type (empty) if the field should have no value.",
    "Values may be pasted, but as text: a spreadsheet drops leading zeros and turns 1-5 into a day.",
    "All other cells are locked, since they tell which value of which record is meant. Rows may be filtered.",
    "Send the file back as xlsx.",
)
"""The first sheet of such a workbook."""

COUNT_COLUMNS = (
    ("read", "Read"),
    ("filtered", "Left out on purpose"),
    ("discarded", "Discarded by hand"),
    ("rejected", "Rejected"),
    ("waiting", "Waiting for a parent"),
    ("collapsed", "Part of another row"),
    ("outside", "Outside of the part or sample"),
    ("outside_delta", "Outside the delta"),
    ("create", "New"),
    ("update", "Changed"),
    ("unchanged", "Already the same"),
    ("unknown", "New or changed"),
)
LOAD_COLUMNS = (
    ("written", "Written"),
    ("created", "Created"),
    ("updated", "Updated"),
    ("merged", "Merged away"),
    ("rejected", "Refused"),
    ("deferred", "Put off"),
    ("altered", "Stored in another form"),
    ("requests", "Requests"),
    ("throttled_429", "Asked to slow down"),
    ("busy_423", "Dataset busy"),
)
EQUATION = (
    ("count_before", "Before"),
    ("created", "Created"),
    ("merged", "Merged"),
    ("expected", "Expected"),
    ("count_after", "After"),
    ("difference", "Difference"),
)
COMPARED = {
    "read": "Read",
    "filtered": "Left out on purpose",
    "rejected": "Rejected",
    "collapsed": "Part of another row",
    "create": "New",
    "update": "Changed",
    "unchanged": "Already the same",
    "unknown": "New or changed",
    "merge_forecast": "Merged away",
}
"""The counts of two plans beside each other."""

ROW_KINDS = (("change", "changes"), ("reject", "rejected"), ("merge", "merges"), ("loss", "losses"))

STATES = ("planned", "loading", "handed over", "loaded", "overtaken", "undone")
VERDICTS = (
    "match",
    "mismatch",
    "pending",
    "unfinished",
    "unverified",
    "undone",
    "proven",
    "drifted",
    "unproven",
)
CHANGES = ("create", "update", "unchanged", "unknown")
LISTS = {
    "rows": "All planned rows",
    "changes": "All values that change",
    "recipes": "Values that the target keeps in its own form",
    "rejects": "Rejected rows",
    "collapsed": "Rows that become part of another row",
    "foreign": "Records of the target's own",
    "merges": "Records that become one",
    "keys": "Shared and odd keys",
    "gone": "Rows whose record is gone at the source",
    "moved": "Records that have another key now",
    "missing": "Rows that the target lacks",
    "unmapped": "Fields that no mapping uses",
    "values": "All values that differ",
}
LIST_HEADS = {
    "key": "Key",
    "old_key": "Old key",
    "change": "What happens",
    "masterid": "Record in the target",
    "changed": "Columns that change",
    "source": "Source",
    "id": "Record",
    "winner_id": "Record it goes into",
    "column": "Column",
    "old": "Now there",
    "new": "Would be",
    "rule": "Rule",
    "value": "Value",
    "first": "First plan",
    "second": "Second plan",
    "field": "Field",
    "filled": "Filled",
    "cluster": "Group",
    "place": "Where",
    "through": "Shared key",
    "columns": "Key columns",
    "what": "What",
    "rows": "Rows",
    "like": "Looks like",
    "lost": "What is lost",
    "position": "Place in the list",
    "resource": "Resource",
    "snapshot_row": "Row of the snapshot",
}
GATES = {
    "max_rejected": "Rejected rows",
    "max_collapsed": "Rows that become part of another row",
    "max_placeholder": "Keys that stand for nobody",
    "max_updates": "Rows that change what is there",
    "max_missing": "Rows that the target lacks",
    "max_merges": "Records merged for good",
    "max_loss": "Losses in single columns",
    "max_unequal": "Money that the plan lacks",
    "require_proven": "Complete extracts",
}
PLACES = {"planned": "in the plan", "target": "in the target", "both": "in both"}
ODD_KEYS = {
    "nobody": "stands for nobody",
    "collapsed": "shared",
    "shared": "shared",
    "placeholder": "stands for nobody",
    "look_alike": "looks like another one",
}
TOTALS = (
    "source",
    "snapshot",
    "plan",
    "target",
    "month",
    "day",
    "currency",
    "type",
    "orders",
    "events",
    "lines",
)
ABOUT = (
    "Datatrics project",
    "Octolis",
    "Of the snapshot",
    "Corrections",
    "Datasets",
    "Snapshot",
    "Plan",
    "Mappings",
    "Made by",
    "not known",
)
FIELD_SHARES = (
    ("filled", "filled"),
    ("empty", "empty text"),
    ("null", "null"),
    ("absent", "absent"),
)
FIELD_TYPES = ("text", "integer", "decimal", "boolean", "object", "list", "other")

GLOSSARY = (
    ("Snapshot", "A copy of all that Datatrics held at one moment. It never changes afterwards."),
    ("Mapping", "The rules by which the fields of Datatrics become the columns of Octolis."),
    (
        "Plan",
        "What would be written, record by record. Exactly this is loaded, or nothing of it.",
    ),
    ("Target", "The datasets in Octolis that the data go to."),
    ("Row", "One record on its way: a person, a product, an order, an event."),
    ("Left out on purpose", "The mapping asks for it. Nothing is wrong with these rows."),
    ("Rejected", "The row breaks a rule of the target or the mapping, and is not sent."),
    (
        "Waiting for a parent",
        "The row belongs to another one that is rejected, such as an order of a rejected person.",
    ),
    (
        "Part of another row",
        "Several records have the same key, so they become one. The mapping says which of them wins.",
    ),
    ("Already the same", "The target has exactly these values, so nothing is sent."),
    (
        "Merge",
        "Two records of the target become one for good, since they share a key. It cannot be undone.",
    ),
    ("Consent", "Whether a person may be sent messages. In doubt none is taken over."),
    ("Gate", "A limit that you set. A plan beyond it is not loaded."),
    ("Delta", "Only what has changed since an earlier snapshot."),
)
