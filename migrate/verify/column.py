"""One column of a mapping in DuckDB's SQL, from the text it starts with to the value that is sent.

A text that breaks a rule becomes a mark: NUL and the rule's name. No other text has a NUL from the first step on, and
every step leaves a mark as it is. What a step changes nothing of is told in SQL where that is quick; what is left is
worked out by the functions of `apply` and `typed`, once for each different text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from migrate.language.patterns import WHITE_SPACE
from migrate.verify.apply import function_of, left_alone
from migrate.verify.language.forms import lowered
from migrate.verify.language.moments import plain_day, plain_moment
from migrate.verify.language.steps import Writer, quoted
from migrate.verify.rules import ColumnRule
from migrate.verify.typed import Broken, plain_texts, reader_of

MARK = "chr(0)"
_UNLISTED = "unlisted_value"


@dataclass(frozen=True)
class Zones:
    """The zone of a row's naive times, and all that it may be."""

    sql: str
    names: Collection[str]


@dataclass(frozen=True)
class Setting:
    """What else counts beside a column's rule: zones, what "6 digits" means, the key, and whether a NUL may come."""

    zones: Zones
    float_digits: str
    key: Collection[str]
    has_nul: bool


@dataclass(frozen=True)
class Lane:
    """One text on its way: the SQL after each step, by the step's name; the last one is its value or a mark.

    `breaks`: whether there can be a mark. `said`: whether there was anything at first. `is_default`: whether the
    default stands in.
    """

    steps: tuple[tuple[str, str], ...]
    value: str
    breaks: bool
    said: str
    is_default: str = "FALSE"

    @property
    def rule(self) -> str:
        """The rule that the text broke."""
        if self.breaks:
            return f"(CASE WHEN {is_mark(self.value)} THEN substr({self.value}, 2) END)"
        return "NULL"


@dataclass(frozen=True)
class Column:
    """A column's value, the rule by which its row is rejected (None where none can be), and where it gives way to
    another record's: null itself is sent, or a default."""

    lanes: tuple[Lane, ...]
    value: str
    rejects: str | None
    weak: str | None


def mark(rule: str) -> str:
    """What a text becomes that breaks a rule."""
    return f"({MARK} || {quoted(rule)})"


def is_mark(text: str) -> str:
    """Whether a text broke a rule."""
    return f"starts_with({text}, {MARK})"


def sendable(text: str, has_nul: bool) -> str:
    """A text with nothing in it as NULL, and one with a NUL or half a surrogate pair as a mark."""
    if not has_nul:
        return f"NULLIF({text}, '')"
    marked = mark("unsendable_text")
    return f"(CASE WHEN contains({text}, {MARK}) THEN {marked} ELSE NULLIF({text}, '') END)"


def trimmed(text: str) -> str:
    """A text without white space around it; most have no other than the space, which DuckDB takes off quicker."""
    white = f"trim({text}, {quoted(WHITE_SPACE)})"
    return f"(CASE WHEN regexp_full_match({text}, '[ -~]*') THEN trim({text}) ELSE {white} END)"


class _Lane:
    """Writes the steps of a lane one after another."""

    def __init__(
        self, writer: Writer, setting: Setting, rule: ColumnRule, start: str, breaks: bool
    ) -> None:
        self._writer, self._setting, self._rule = writer, setting, rule
        self.steps: list[tuple[str, str]] = []
        self.breaks = breaks
        self.text = start
        self._note(
            "sql" if rule.sql is not None else "value" if rule.value is not None else "from", start
        )

    def _note(self, step: str, text: str) -> None:
        self.text = self._writer.keep(text)
        self.steps.append((step, self.text))

    def _unless(self, alone: Collection[str], done: str) -> str:
        """What is done to a text that is neither a mark nor one that the step leaves alone."""
        conditions = [is_mark(self.text)] if self.breaks else []
        conditions += alone
        if conditions:
            return f"(CASE WHEN {' OR '.join(conditions)} THEN {self.text} ELSE {done} END)"
        return done

    def apply(self, name: str, argument: str | int | None) -> None:
        """One function. Raises Unverifiable."""
        text = self.text
        match name:
            case "trim":
                done = f"NULLIF({trimmed(text)}, '')"
            case "lowercase":
                done = lowered(self._writer, text)
            case "collapse_spaces":
                done = f"regexp_replace({text}, {quoted(f'[{WHITE_SPACE}]+')}, ' ', 'g')"
            # A mark is in small letters without spaces, so the steps above leave it as it is; these two would
            # not.
            case "uppercase":
                done = self._unless([], lowered(self._writer, text, "upper"))
            case "sha256":
                done = self._unless([], f"sha256({text})")
            case _:
                called = self._writer.call(function_of(name, argument), text)
                done = self._unless(left_alone(name, argument, text), f"NULLIF({called}, '')")
                self.breaks = True
        self._note(name if argument is None else f"{name}: {argument}", done)

    def list(self, values: Mapping[str, str]) -> None:
        """The text that `values` gives for a text."""
        unlisted = self._rule.unlisted

        def listed(one: str) -> str:
            if one in values:
                return values[one]
            if unlisted == "reject":
                raise Broken(_UNLISTED)
            return one if unlisted == "keep" else ""

        called = f"NULLIF({self._writer.call(listed, self.text)}, '')"
        done = self._unless([], called)
        self.breaks = self.breaks or unlisted == "reject"
        self._note("values", done)

    def default(self, default: str) -> str:
        """The default where there is no text; gives back whether it stands in."""
        is_default = f"({self.text} IS NULL)"
        self._note("default", f"COALESCE({self.text}, {quoted(default)})")
        return is_default

    def read(self) -> None:
        """The text by the column's type. Raises Unverifiable."""
        rule, text = self._rule, self.text
        read = reader_of(rule, self._setting.float_digits)
        if rule.type == "text":
            self._note("text", text)
            return
        if rule.type in {"datetime", "date"}:
            if rule.timezone:
                zone = quoted(rule.timezone)
            else:
                zone = self._setting.zones.sql
            done = self._unless(
                [], f"COALESCE({self._plain_time()}, {self._writer.call(read, text, zone)})"
            )
        else:
            called = self._writer.call(lambda one: read(one, ""), text)
            done = self._unless(plain_texts(rule.type, self._setting.float_digits, text), called)
        self.breaks = True
        self._note(rule.type, done)

    def _plain_time(self) -> str:
        rule, zones = self._rule, self._setting.zones
        if rule.type == "date" and rule.format is None:
            return plain_day(self._writer, self.text)
        if rule.type == "date" or rule.format not in {None, "rfc_3339"}:
            return "NULL"
        if rule.timezone:
            zones = Zones(quoted(rule.timezone), [rule.timezone])
        return plain_moment(self._writer, self.text, zones.sql, zones.names)


def write_lane(
    writer: Writer, setting: Setting, rule: ColumnRule, start: str, breaks: bool
) -> Lane:
    """A text through functions, listed values, default and type. Raises Unverifiable."""
    lane = _Lane(writer, setting, rule, start, breaks)
    for name, argument in rule.calls:
        lane.apply(name, argument)
    if rule.values is not None:
        lane.list(rule.values)
    if rule.default is None:
        is_default = "FALSE"
    else:
        is_default = lane.default(rule.default)
    lane.read()
    return Lane(
        tuple(lane.steps), lane.text, lane.breaks, f"({lane.steps[0][1]} IS NOT NULL)", is_default
    )


def write_column(
    writer: Writer, setting: Setting, rule: ColumnRule, starts: Sequence[str], breaks: bool
) -> Column:
    """A column from its texts to its outcome. Raises Unverifiable."""
    lanes, value, broken, said, is_default = (
        _only(writer, write_lane(writer, setting, rule, starts[0], breaks))
        if len(starts) == 1
        else _strictest(writer, setting, rule, starts, breaks)
    )
    broken = writer.keep(broken) if broken != "NULL" else broken
    if rule.default is not None:
        weak = [f"({value} IS NOT NULL AND {is_default})"]
    else:
        weak = []
    if rule.on_invalid == "null":
        # A null that is sent for a broken value must not go over a value that another record has.
        weak.append(f"({value} IS NULL AND {broken} IS NOT NULL)")
    if rule.sends_null:
        weak.append(f"({value} IS NULL AND {broken} IS NULL AND NOT {said})")
    return Column(lanes, value, _rejects(setting, rule, value, broken), " OR ".join(weak) or None)


def _only(writer: Writer, lane: Lane) -> tuple[tuple[Lane, ...], str, str, str, str]:
    """The column of one text: its way, value, broken rule, whether anything was said, whether the default stands in."""
    value = lane.value
    if lane.breaks:
        value = writer.keep(f"(CASE WHEN NOT {is_mark(value)} THEN {value} END)")
    return (lane,), value, lane.rule, lane.said, lane.is_default


def _rejects(setting: Setting, rule: ColumnRule, value: str, broken: str) -> str | None:
    """The rule by which a column rejects its row."""
    missing = (
        "required_missing" if rule.required else "key_missing" if rule.name in setting.key else None
    )
    if missing:
        return f"COALESCE({broken}, CASE WHEN {value} IS NULL THEN {quoted(missing)} END)"
    if broken == "NULL":
        return None
    if rule.on_invalid == "reject":
        return broken
    rejects_unlisted = rule.values is not None and rule.unlisted == "reject"
    if rejects_unlisted:
        return f"(CASE WHEN {broken} = {quoted(_UNLISTED)} THEN {broken} END)"
    return None


def _strictest(
    writer: Writer, setting: Setting, rule: ColumnRule, starts: Sequence[str], breaks: bool
) -> tuple[tuple[Lane, ...], str, str, str, str]:
    """One consent of several fields: false if one says no, true only if none says anything else.

    All are heard, and the default stands in where none says anything.
    """
    # Set aside: a default of one field would be a word beside the others that did speak.
    bare = replace(rule, default=None)
    lanes = tuple(write_lane(writer, setting, bare, start, breaks) for start in starts)
    values = [lane.value for lane in lanes]
    says_no = " OR ".join(f"{value} IS NOT DISTINCT FROM 'false'" for value in values)
    says_yes = " OR ".join(f"{value} IS NOT DISTINCT FROM 'true'" for value in values)
    unclear = " OR ".join(
        f"({lane.said} AND ({lane.value} IS NULL OR {is_mark(lane.value)}))" for lane in lanes
    )
    silent = writer.keep("(" + " AND ".join(f"{value} IS NULL" for value in values) + ")")
    if rule.default is None:
        default = "NULL"
    else:
        default = quoted(rule.default)
    value = (
        f"(CASE WHEN {says_no} THEN 'false' WHEN ({says_yes}) AND NOT ({unclear}) THEN 'true'"
        f" WHEN {silent} THEN {default} END)"
    )
    said = "(" + " OR ".join(lane.said for lane in lanes) + ")"
    broken = f"COALESCE({', '.join(lane.rule for lane in lanes)})"
    return lanes, writer.keep(value), broken, said, silent
