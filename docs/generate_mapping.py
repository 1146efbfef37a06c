"""Writes docs/mapping.md from the mapping language's own model; with --check, fails where the file is out of date."""

# ruff: noqa: E501  a page's prose and tables keep their lines

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from migrate.language.sql import MAX_LENGTH
from migrate.language.sql.tokens import FUNCTIONS as SQL_FUNCTIONS
from migrate.language.sql.tokens import KEYWORDS, MAX_DEPTH, TYPES
from migrate.language.yaml_text import MAX_BYTES
from migrate.language.yaml_text import MAX_DEPTH as YAML_DEPTH
from migrate.mapping.formats import MEANINGS
from migrate.mapping.functions import FUNCTIONS, Function
from migrate.mapping.model import Collapse, Column, Example, Lookup, Mapping
from migrate.mapping.rules import BROKEN, BROKEN_VALUES, LOSSES, NULLED, OMITTED, RULES

TARGET = Path(__file__).with_name("mapping.md")
HEAD = """\
# Mapping files

Made by `python docs/generate_mapping.py` from the language's own model; do not edit.

A mapping file says what becomes of each field of a resource in one dataset of the target. It is the document that the customer
signs. New to it? [Your first mapping](first-mapping.md) goes from an empty file to a signed one.

```yaml
# yaml-language-server: $schema=mapping.schema.json
version: 1
dataset: contacts
resource: profiles
key: [contact_key]
alternative_keys: [[email], [phone, lastname]]
where: "email IS NOT NULL OR phone IS NOT NULL"
collapse: {by: latest, order_by: [updated, created], fill_gaps: true}
columns:
  contact_key: {sql: "source || ':' || id", type: text}
  email: {from: [email, metadata.email], type: text, apply: [trim, lowercase, email], on_invalid: omit}
  phone: {from: [mobile, phone], type: text, apply: [{phone: NL}], on_invalid: omit}
  lastname: {from: lastname, type: text, apply: [fix_text, trim]}
  country: {from: country, type: text, apply: [country], on_invalid: omit}
  newsletter: {from: newsletter, type: boolean, consent: true, values: {"1": true, "0": false}, unlisted: omit}
  birthdate: {from: dateofbirth, type: date, on_invalid: omit}
  created_at: {from: [created, created_at], type: datetime}
  own_id: {from: record.id, type: text}
  origin: {value: datatrics, type: text}
ignore: [update_msg, update_attempts]
unmapped: report
```

## How to read one

From top to bottom a file answers six questions:

1. **What becomes of what?** `resource` is what Datatrics calls the records, `dataset` where they go. With `each` every element of a list
   is a row.
2. **Which rows are the same?** `key`: rows with one key become one row, and `collapse` says which of them wins.
3. **Which rows are left out?** `where` keeps the rows for which it is true.
4. **Where does each value come from?** One line a column: `from` names fields, the first with a value counts; `sql` works it out; `apply` cleans
   it, step by step; `values` turns words into other words; `type` is what arrives.
5. **What if a value does not fit?** `on_invalid` says whether the row is rejected, with the name of a rule, or only the value is left out
   and counted as a loss. Nothing is dropped without a count.
6. **How do I know that it works?** `examples` show records and what becomes of them; they are run before every plan. `migrate mapping preview`
   shows the same for the newest snapshot, `migrate mapping check` what costs rows or values.

A word with `$` is a list, table or expression that several files share, see [`shared.yaml`](#sharedyaml-and-tables).

## Working with them

| command | does |
| --- | --- |
| `migrate mapping new RESOURCE` | proposes a first file from a snapshot, each line with its reason, no value of a record in it |
| `migrate mapping check [FILE]...` | every problem of every file at once. It also reads all records of the newest snapshot, with look-ups (about as long as a plan takes), and reports what never occurs, what is left over, formats that some values break, consents that are lost, ids that find nothing, and keys that are nobody's (`n/a`) |
| `migrate mapping preview FILE` | rows before and after, rejected rows with the reason; masked unless `--show-values` |
| `migrate mapping functions` | the functions with examples |
| `migrate mapping schema` | the JSON Schema, which editors find by the first line of each file: with `--json` too just this document, without `command`, `exit_code` and `status` |

## Values

Every field is **text as sent**: a string's own text, and of anything else the JSON literal, digit by digit. So no rule depends
on a guessed type, and nothing passes through a binary float. A field whose name holds half a surrogate pair goes by the name that `inspect`
shows, with its escape (`x\\ud83d`).

| in the record | is | without settings of its own |
| --- | --- | --- |
| absent, `null`, `""` | no value | the column is left out: the target keeps what it has, defaults hold |
| `"NULL"`, `"null"`, `" "` | text | sent as any text, or refused by the type |

`default` is taken where there is no value, never for one that broke a rule. `null: send` sends null where there is no value, which erases.

Rows of one key become one. Without `fill_gaps` the winner's row is taken as it is. With `fill_gaps` a column takes the best-ranked **value** that
any of the records has. A value beats a null (of `null: send` or `on_invalid: null`) and a default, the winner's own included. Where no record
has a value, the winner's null or default is taken.

A consent is never filled. It is false where any record says no, and true only where the winner says yes. A default is no answer: it is taken only
where none of the consent's fields says anything.

| name | is |
| --- | --- |
| `source`, `id` | the record's identity; its own fields of these names are `record.source` and `record.id` |
| `project` | the number of the Datatrics project; a record's own field of that name is `record.project` |
| `metadata.email` | a field within an object |
| `item.NAME`, `item`, `position` | with `each: items`, one row per element: the element's field, the element itself, its place from 1. The record's own fields of these names are `record.item` and `record.position` |

`each` also takes what is no list:

- an object with numbers for keys, or whose values are all objects and no field that the mapping reads, is a list by keys;
- an object around a single list, object or nothing (`{"item": […]}`, as XML becomes JSON) is taken away;
- any other object is one element itself, counted as `single_element`;
- null, `""`, `[]` and `{}` are no element, and are counted;
- anything else breaks `each_not_a_list`.

An element without a value in any field that the mapping reads breaks `empty_element`. So does null or a plain value where no column reads
`item`.

## Keys of the file
"""
SHARED = """
### `shared.yaml` and `tables`

What several files need is written once, in `shared.yaml` beside them: `values` (lists), `expressions` and `tables`, each by name. A file takes a
list with `values: $consent_words`, a list and more with `values: [$consent_words, {aangevinkt: true}]` (the later wins), and an expression by
its name in `sql` or `where`: `sql: "$record_key || ':' || position"`. It is put in before the file is read, in brackets.

`tables: {stores: stores.csv}` names a look-up file beside the mapping (UTF-8; comma, semicolon or tab; its first line names the columns).
`values: $stores` gives the second column by the first, `values: $stores.city` the column `city`. A text that the file does not list is
unlisted: `unlisted` says whether the row is rejected, the column left out, or the text kept. Both files are hashed into the plan, which is
stale once one of them is edited.
"""
SEVERAL = """
A dataset may be made of several resources, with a file for each: contacts of profiles and of buyers that only the sales know, or a
catalogue of items and categories. The files name the same `dataset`, and each says its place:

```yml
# contacts.profiles.yaml
dataset: contacts
precedence: 1
resource: profiles
key: [email]
```

```yml
# contacts.buyers.yaml
dataset: contacts
precedence: 2
resource: sales
key: [email]
```

- Rows of one key become one row, whichever files they are of. That of the first file wins, also over a later time; among rows of one file
  `collapse` ranks. With `fill_gaps` the other files fill what the winner lacks, but never a consent.
- `key`, `alternative_keys`, `target`, `collapse` (`by`, `source_order`, `fill_gaps`), and of columns that several files make `type`, `consent`
  and `recipe`, are the same in all of them. A column that one file makes is absent from the rows of the others, so a `required` one has to be in
  every file. One file a resource; two files without a place of their own are refused.
- A record's identity is `(resource, source, id)`: profile 1 and sale 1 of one shop are two. So a look-up in such a dataset names the resource
  of the other record: `{dataset: contacts, resource: sales, id: id}`; else it is that of the first file.
- The plan counts what became of the records of each file, and all lists of records name the resource.
"""
EXAMPLES = """
A file may show what becomes of records, for its reader and against slips: `mapping check` runs its examples, and no plan is made of a file
of which one fails. Look-ups find nothing in an example. `migrate mapping preview FILE --as-example ID` prints one of a record of the snapshot.

```yml
examples:
  - says: a word of yes in Dutch
    record: {profileid: "1", source: Shop, newsletter: Ja}
    row: {newsletter: true, email: null}
  - record: {profileid: "2", source: Shop, newsletter: misschien}
    row: {newsletter: null}
```
"""
AFTER_KEYS = f"""
Files are YAML 1.2 (`no` and `on` are text), at most {MAX_BYTES:,} bytes and {YAML_DEPTH} levels deep, without anchors, aliases and tags.

Where `recipe` is left out, a recipe of the target that explains every value, and that a load from this
workspace has proven, is recognised by itself, see [the plan](design/plan.md#when-are-two-values-the-same);
`recipe: false` switches that off.

## Types
"""
TYPES_TABLE = """
| type | takes | rules it may break | sends |
| --- | --- | --- | --- |
| `text` | any text but a NUL or half a surrogate pair | `unsendable_text` | as it is |
| `integer` | `12`, `-3`, `12.000`; not `1e3`, `+1`, ` 1` | `not_an_integer`, `out_of_int32` | `12` |
| `float` | `1.10`, `-3`, `1.5e-7`; no comma, no spaces | `not_a_number`, `out_of_int32`, `too_many_digits` | six digits after the point at most, rounded half-even; with `float_digits = "significant"` more than six digits are refused; `digits` decides for a column |
| `boolean` | `true`, `false`; other spellings by `values` | `not_a_boolean` | `true` |
| `datetime` | `2020-04-28 14:08:45`, with `T`, a fraction, `Z` or an offset; a day is its midnight; else `format` | `not_a_datetime`, `zero_date`, `out_of_calendar` | `"2020-04-28 14:08:45"` in UTC |
| `date` | the same; the day as written, never moved by a zone | `not_a_date`, `zero_date`, `out_of_calendar` | `"2020-04-28 00:00:00"` |
| `json` | one JSON value; a text that spells an escape of half a surrogate pair is none (`not_json`) | `not_json`, `unsendable_text` | its text, in quotes |

A naive time is of its source's zone (`[datatrics.timezones]`, where `source_aliases` make two names one source the zone
of either, or the column's `timezone`). A local time the clock skipped in spring moves forward by the gap; one that came
twice in autumn is the earlier. Both are counted.

Without `format` a time is read in the spellings that cannot be mistaken: `2020-04-28 14:08:45`, with `T`, without seconds,
with a fraction, with `Z`, `UTC` or an offset behind it (RFC 3339); `Tue, 28 Apr 2020 14:08:45 +0200` (RFC 2822); PHP's
`{"date": …, "timezone_type": …, "timezone": …}`. A zero date is none, however a database or PHP writes it: `0000-00-00`,
`00-00-0000`, `00/00/0000`, `00000000000000`, `-0001-11-30 00:00:00`, an epoch of -62169984000.

`format` is one of `epoch_s` (also `%s`), `epoch_ms`, `epoch_us`, `rfc_3339`, `rfc_2822`, `php_date`, or made of these codes
and no others. Between digits a code has its full width (`%Y%m%d`), elsewhere a leading zero may be missing. A space in the
format is one or more in the text; all other characters are themselves.

CODES_TABLE
Records are ranked (`collapse: latest`) by each field's own reading: as the column reads it that takes it, with its format
and zone. What no column takes, or what its column cannot read, is ranked in every known spelling, epochs by their number of
digits, days before months. What is no time in any of them is counted as `unranked` and ranks last.
Equal times, and `collapse: first`, follow [the order of records](design/plan.md#the-order-of-records).

## Consent

A column with `consent: true` becomes true only by a listed yes of its own record: not by absence, null, `""`, an unlisted answer, a
default, a look-up, an expression over silent fields, gap filling or collapse. Of several fields, and of several records of one key, a no
wins over a yes. A file that could make it otherwise is refused.

## Functions

`apply` runs them one after another, before `values` and the type. One that refuses a text breaks a rule, as a type does.
"""
SQL = f"""
## SQL

`sql` and `where` are expressions over the row's own text fields, and mean what PostgreSQL says they mean; [SQL in mappings](sql.md) has
each function and operator with examples. What is allowed is a closed list, and nothing outside the row can be read. At most {MAX_LENGTH:,} characters and {MAX_DEPTH} brackets deep. A field whose name is a word of SQL wants double quotes.

Functions: {", ".join(sorted(SQL_FUNCTIONS))}.

Words: {", ".join(sorted(KEYWORDS))}. Types to cast to: {", ".join(sorted(TYPES))}. Operators: `||` `=` `<>` `<` `>` `<=` `>=` `+` `-` `*` `/` `%`.

## Rules

A row that breaks one is rejected under its name, unless the column's `on_invalid` says otherwise. Every row ends as accepted, rejected or
filtered.
"""


def render() -> str:
    """The whole page."""
    parts = [
        HEAD,
        *_keys(Mapping),
        "\n### `collapse`\n",
        *_keys(Collapse),
        "\n### `lookups.NAME`\n",
    ]
    parts += [
        *_keys(Lookup),
        "\n### `columns.NAME`\n\n`from`, `sql` or `value`, one of them.\n",
        *_keys(Column),
    ]
    codes = "".join(_table(("code", "means"), [(f"`{c}`", m) for c, m in MEANINGS.items()]))
    types = TYPES_TABLE.replace("CODES_TABLE\n", codes + "\n")
    parts += [
        "\n### Several files for one dataset\n",
        SEVERAL,
        SHARED,
        "\n### `examples`\n",
        EXAMPLES,
        *_keys(Example),
    ]
    parts += [AFTER_KEYS, types, *_functions(FUNCTIONS.values()), SQL]
    parts += _table(
        ("rule", "means", "way out"), [(f"`{r.name}`", r.says, r.hint) for r in RULES.values()]
    )
    parts += [
        "\n## Losses\n\nCounted per column with a few examples, masked where they are shown.\n"
    ]
    parts += _table(("loss", "means"), _losses())
    return "".join(parts)


def _keys(model: Any) -> Iterator[str]:
    rows = []
    for name, field in model.model_fields.items():
        default = "" if field.is_required() else _show(field.get_default(call_default_factory=True))
        says = f"{field.description or ''}{_choices(field.annotation)}"
        rows.append(
            (f"`{field.alias or name}`", says, "required" if field.is_required() else default)
        )
    yield from _table(("key", "says", "default"), rows)


def _choices(annotation: Any) -> str:
    """The words that a key takes, where it takes words only."""
    if get_origin(annotation) is not Literal:
        told = [found for part in get_args(annotation) if (found := _choices(part))]
        return told[0] if told and get_origin(annotation) in (Union, UnionType) else ""
    words = [f"`{word}`" for word in get_args(annotation) if isinstance(word, str)]
    return f" One of {', '.join(words)}." if words else ""


def _show(value: Any) -> str:
    if (
        value is None
        or (not value and isinstance(value, tuple | dict))
        or isinstance(value, Collapse)
    ):
        return ""
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    return f"`[{', '.join(value)}]`" if isinstance(value, tuple) else f"`{value}`"


def _functions(functions: Iterable[Function]) -> Iterator[str]:
    rows = []
    for function in functions:
        call = (
            function.name
            if function.example_argument is None
            else f"{function.name}: {function.example_argument}"
        )
        made = ", ".join(
            f"`{name}`" for name in (function.rule, *function.other_rules, function.loss) if name
        )
        rows.append(
            (f"`{call}`", function.says, f"`{function.example[0]}` → `{function.example[1]}`", made)
        )
    yield from _table(("function", "does", "example", "rule, loss"), rows)


def _losses() -> Iterator[tuple[str, str]]:
    """Each loss with its meaning; those of a broken rule, of which each rule has two, in two lines."""
    for name, says in LOSSES.items():
        if name not in BROKEN_VALUES:
            yield f"`{name}`", says
    yield (
        f"`{OMITTED}RULE`",
        "a value broke this rule (`omitted_not_a_date`); left out as `on_invalid: omit` says",
    )
    yield (
        f"`{NULLED}RULE`",
        "a value broke this rule (`nulled_not_a_date`); null sent as `on_invalid: null` says",
    )
    yield (
        f"`{OMITTED}{BROKEN}`, `{NULLED}{BROKEN}`",
        "the values of a column that broke any rule, together: in `[gates] max_loss`, and in plans of an earlier version",
    )


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "\n| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads) + "\n"
    for row in rows:
        yield (
            "| "
            + " | ".join(cell.replace("|", "\\|").replace("\t", "\\t") for cell in row)
            + " |\n"
        )


if __name__ == "__main__":
    from generated import write_or_check  # stands beside this script

    raise SystemExit(write_or_check(TARGET, render(), sys.argv))
