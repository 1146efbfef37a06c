"""Mapping files by chance: one to three datasets that look each other up, `shared.yaml`, and a table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from migrate.names import RESOURCE_NAMES

from .chance import Chance
from .expressions import Expressions, written
from .formats import some_format
from .records import ELEMENT_FIELDS, SOURCES

COLUMNS = 9
CONSENTS = 8
TYPES = ("text", "integer", "float", "boolean", "json", "datetime", "date")
STYLES = (
    "nl",
    "nl-BE",
    "de",
    "de-AT",
    "de-CH",
    "fr",
    "fr-BE",
    "fr-CH",
    "es",
    "it",
    "en",
    ".,",
    "',",
    " .",
    ",",
)
STEPS: dict[str, tuple[Any, ...]] = {
    **{
        name: (name,)
        for name in (
            "trim",
            "lowercase",
            "uppercase",
            "collapse_spaces",
            "strip_html",
            "fix_text",
            "email",
        )
    },
    "country": ("country",),
    "sha256": ("sha256",),
    "truncate": ({"truncate": 1}, {"truncate": 3}, {"truncate": 12}),
    "phone": ({"phone": "NL"}, {"phone": "DE"}, {"phone": "US"}),
    "decimal_comma": ("decimal_comma", {"decimal_comma": "or_point"}),
    "amount": tuple({"amount": style} for style in STYLES),
}
KEEPING_CONSENT = ("trim", "lowercase", "uppercase", "collapse_spaces")
_FITTING = {
    "email": "mail",
    "phone": "phone",
    "country": "country",
    "strip_html": "html",
    "amount": "amount",
    "decimal_comma": "amount",
}
_FIELDS = (
    "a",
    "b",
    "c",
    "mail",
    "phone",
    "country",
    "html",
    "amount",
    "json",
    "n.x",
    "id",
    "source",
    "optin",
)
_ODD_FIELDS = (
    "n",
    "list",
    "k",
    "moment",
    "record.id",
    "record.source",
    "record.item",
    "record.position",
    "project",
    "n.x.y",
    "metadata.source",
    "nowhere",
    "record.project",
)
_ZONES = ("Europe/London", "Asia/Tehran", "America/St_Johns", "UTC", "Australia/Lord_Howe")
_WHOLE_ANSWERS = {"1": 1, "x": 7, "yes": 0, "abc": 12}
_ANSWERS: dict[str, dict[str, Any]] = {
    "text": {"1": "one", "abc": "t", "yes": "y", "\u0130i": "i", "x": "X"},
    "integer": _WHOLE_ANSWERS,
    "float": _WHOLE_ANSWERS,
    "boolean": {"1": True, "yes": True, "0": False, "x": False},
    "json": {"1": "{}", "x": "[1]"},
    "datetime": {"1": "2020-01-01 10:00:00"},
    "date": {"x": "2020-01-01"},
}
_DEFAULTS: dict[str, Any] = {
    "text": "none",
    "integer": 3,
    "float": 4,
    "boolean": False,
    "json": "[]",
    "datetime": "2020-01-01 00:00:00",
    "date": "2020-01-01",
}
_SHARED_VALUES = {
    "words": {"1": "one", "yes": "y", "abc": "t"},
    "answers": {"1": True, "yes": True, "no": False, "0": False},
}
_TABLE = 'code;name;group\n1;First;A\nabc;"Third;x";B\nyes;Yes;\nx;X y;C\n'
_EXPRESSIONS = {"both": "a || '-' || b", "has_mail": "mail IS NOT NULL AND STRPOS(mail, '@') > 0"}


@dataclass
class Made:
    """Mapping files as they were written, by dataset, looked-up ones first; `formats`: of the times in them."""

    mappings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    formats: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Puts all files into the folder."""
        shared = {
            "version": 1,
            "values": _SHARED_VALUES,
            "expressions": _EXPRESSIONS,
            "tables": {"groups": "table.csv"},
        }
        (folder / "shared.yaml").write_text(json.dumps(shared), encoding="utf-8")
        (folder / "table.csv").write_text(_TABLE, encoding="utf-8")
        for dataset, files in self.mappings.items():
            for place, mapping in enumerate(files):
                text = json.dumps(mapping, ensure_ascii=False)
                (folder / f"{dataset}.{place}.yaml").write_text(text, encoding="utf-8")

    @property
    def resources(self) -> list[str]:
        """What the files are made of, each once."""
        made = [mapping["resource"] for files in self.mappings.values() for mapping in files]
        return list(dict.fromkeys(made))


def make_mappings(chance: Chance) -> Made:
    """The files of one case."""
    made = Made()
    names = ["contacts"]
    if chance.has("look-up", 0.4):
        names += ["orders", "lines"] if chance.has("look-up of a look-up", 0.3) else ["orders"]
    for dataset in names:
        count = 2 if chance.has("several files", 0.2) else 1
        resources = chance.random.sample(RESOURCE_NAMES, count)
        files = [_Maker(chance, dataset, resource, made).mapping() for resource in resources]
        if count > 1:
            _agree(chance, *files)
        made.mappings[dataset] = files
    return made


def make_consents(chance: Chance) -> Made:
    """A file of consents alone, so that most records get as far as a payload."""
    made = Made()
    maker = _Maker(chance, "contacts", chance.pick(RESOURCE_NAMES), made)
    file = maker.mapping()
    key = {"key": {"from": ["k", "id"], "type": "text"}}
    consents = {f"yes{place}": maker.consent() for place in range(CONSENTS)}
    for consent in consents.values():
        consent.update({"unlisted": "omit", "on_invalid": "omit"} if "unlisted" in consent else {})
        consent.pop("required", None)
    made.mappings["contacts"] = [file | {"key": ["key"], "columns": key | consents}]
    made.mappings["contacts"][0].pop("alternative_keys", None)
    return made


def make_alone(chance: Chance) -> Made:
    """One file that looks nothing up, with a row for each record under the record's own id."""
    made = Made()
    maker = _Maker(chance, "contacts", chance.pick(RESOURCE_NAMES), made, may_have_each=False)
    file = maker.mapping()
    file["columns"]["key"] = {"from": "id", "type": "text"}
    made.mappings["contacts"] = [file | {"key": ["key"]}]
    return made


def _agree(chance: Chance, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Makes two files those of one dataset: they say the same of its key, its columns and how rows of a key meet."""
    first["precedence"], second["precedence"] = chance.of((1, 2), (2, 1), (7, 30))
    alike = ("key", "target", "alternative_keys")
    for name in alike:
        second.pop(name, None)
    second |= {name: first[name] for name in alike if name in first}
    theirs = second["collapse"]["order_by"]
    second["collapse"] = {**first["collapse"], "order_by": theirs}
    mine, own = first["columns"], second["columns"]
    for name in [*second["columns"]]:
        differs = (
            any(mine[name].get(key) != own[name].get(key) for key in ("type", "consent", "recipe"))
            if name in mine
            else False
        )
        if differs or chance.maybe(0.2):
            del own[name]
    second["columns"] = {name: mine[name] for name in first["key"]} | own
    kept = set(second["columns"]) & set(mine)
    for columns in (mine, second["columns"]):
        for name in columns.keys() - kept:
            columns[name].pop("required", None)
    for name in first.get("alternative_keys", []):
        second["columns"] |= {column: mine[column] for column in name}


class _Maker:
    """Makes one mapping."""

    def __init__(
        self,
        chance: Chance,
        dataset: str,
        resource: str,
        made: Made,
        may_have_each: bool = True,
    ) -> None:
        self.chance = chance
        self.dataset, self.resource = dataset, resource
        self.made = made
        self.each = may_have_each and chance.has("each", 0.3)
        self.is_feed = chance.has("target: webhook", 0.03)
        self.lookups: dict[str, dict[str, Any]] = {}
        self.looked_up: list[str] = []
        for number, other in enumerate(reversed(made.mappings)):
            if number == 0 or chance.maybe(0.3):
                self._look_up(f"mother{number or ''}", other)
        fields = [*_FIELDS, *self.looked_up, *self.looked_up]
        if self.each:
            fields += [*ELEMENT_FIELDS, *ELEMENT_FIELDS, "position"]
        self.fields = [*fields, *chance.random.sample(_ODD_FIELDS, 3)]
        self.expressions = Expressions(chance, self.fields)
        # a consent is of its own record, never looked up
        own = [name for name in self.fields if name not in self.looked_up]
        self.own_expressions = Expressions(chance, own)

    def _look_up(self, name: str, other: str) -> None:
        chance = self.chance
        files = self.made.mappings[other]
        rule: dict[str, Any] = {
            "dataset": other,
            "id": chance.of("parent", "parent", ["parent2", "parent"], "id"),
        }
        if chance.has("lookups.source", 0.3):
            rule["source"] = chance.of("shop", "source", "record.source")
        if chance.has("on_orphan", 0.5):
            rule["on_orphan"] = chance.pick(("on_orphan: keep", "on_orphan: reject")).removeprefix(
                "on_orphan: "
            )
        self.lookups[name] = rule
        if len(files) > 1 and chance.has("lookups.resource", 0.6):
            rule["resource"] = chance.of(*(file["resource"] for file in files))
        columns = dict.fromkeys(column for file in files for column in file["columns"])
        self.looked_up += [f"{name}.{column}" for column in columns]

    def mapping(self) -> dict[str, Any]:
        """The whole file."""
        chance = self.chance
        made: dict[str, Any] = {"version": 1, "dataset": self.dataset, "resource": self.resource}
        if self.is_feed:
            made["target"] = "webhook"
        made["collapse"] = self._collapse()
        if self.lookups:
            made["lookups"] = self.lookups
        if self.each:
            made["each"] = "list"
        made["tables"] = {"stores": "table.csv"}
        made["key"], columns = self._key()
        columns |= {f"c{place}": self.column() for place in range(COLUMNS)}
        columns["yes"], columns["too"] = self.consent(), self.consent()
        if self.each:
            columns["element"] = {
                "from": chance.of("item.v", "item"),
                "type": "text",
                "on_invalid": "omit",
            }
        made["columns"] = columns
        if chance.has("where", 0.35):
            made["where"] = (
                "$has_mail"
                if chance.has("$ in where", 0.1)
                else self.expressions.truth(chance.of(1, 2))
            )
        if not self.is_feed and chance.has("alternative_keys", 0.1):
            made["alternative_keys"] = [["c0"], ["c1", "c2"]]
        if chance.has("unmapped", 0.1):
            made |= {"unmapped": chance.of("report", "fail"), "ignore": ["left_behind"]}
        return made

    def _key(self) -> tuple[list[str], dict[str, Any]]:
        chance = self.chance
        many = {"from": chance.of("k", ["k", "id"], "id", ["k", "id"]), "type": "text"}
        if self.each and chance.maybe(0.5):
            many = {"sql": "id || '-' || position", "type": "text"}
        kind = chance.pick(("one key", "two-part key", "key of JSON", "key by SQL", "typed key"))
        if kind == "two-part key":
            second = chance.of(
                {"from": "source", "type": "text", "default": "none"},
                {"from": "b", "type": "integer", "default": 0},
                {"from": "moment", "type": "date"},
                {"from": "optin", "type": "boolean", "default": False},
            )
            return ["key", "part"], {"key": many, "part": second}
        if kind == "key of JSON":
            return ["key"], {"key": {"from": "json", "type": "json", "default": "[]"}}
        if kind == "key by SQL":
            return ["key"], {
                "key": {"sql": "COALESCE(source, '') || ':' || COALESCE(k, id)", "type": "text"}
            }
        if kind == "typed key":
            wanted = chance.of(
                ("b", "float"), ("id", "integer"), ("moment", "datetime"), ("b", "integer")
            )
            return ["key"], {"key": {"from": wanted[0], "type": wanted[1]}}
        return ["key"], {"key": many}

    def _collapse(self) -> dict[str, Any]:
        chance = self.chance
        by = chance.pick(("by: latest", "by: first", "by: source_order"))
        made: dict[str, Any] = {
            "by": by.removeprefix("by: "),
            "fill_gaps": chance.has("fill_gaps", 0.5),
        }
        made["order_by"] = chance.of(
            ["moment"], ["updated_at", "moment"], ["day", "created"], ["n.x", "moment"]
        )
        if chance.maybe(0.5):
            made["source_order"] = [source for source in SOURCES if source and chance.maybe(0.6)]
        return made

    def column(self) -> dict[str, Any]:
        """One column."""
        chance = self.chance
        kind = chance.pick(TYPES) if chance.maybe(0.7) else "text"
        made: dict[str, Any] = {"type": kind}
        if kind in {"datetime", "date"}:
            self._time(made, kind)
        else:
            self._origin(made, kind)
        if "format" not in made and chance.has("values", 0.2):
            self._values(made, kind)
        self._endings(made, kind)
        return made

    def _time(self, made: dict[str, Any], kind: str) -> None:
        chance = self.chance
        made["from"] = chance.of(
            "moment", "moment", "day", ["updated_at", "moment"], "n.x", "created"
        )
        if chance.has("time by SQL", 0.1):
            del made["from"]
            made["sql"] = chance.of(
                "TRIM(moment)", "COALESCE(moment, day)", "REPLACE(moment, '/', '-')"
            )
        if chance.has("format", 0.6):
            made["format"] = some_format(chance)
            self.made.formats.append(made["format"])
            if "%y" in made["format"] and chance.has("pivot", 0.5):
                made["pivot"] = chance.of(0, 30, 69, 99)
        if kind == "datetime" and chance.has("timezone", 0.2):
            made["timezone"] = chance.of(*_ZONES)
        if chance.has("functions of a time", 0.1):
            made["apply"] = [chance.of("trim", "collapse_spaces", {"truncate": 10})]

    def _origin(self, made: dict[str, Any], kind: str) -> None:
        chance = self.chance
        way = self.chance.pick(
            ("from", "from", "from several", "sql", "sql", "value", "shared expression")
        )
        if way == "from":
            made["from"] = chance.of(*self.fields)
        elif way == "from several":
            made["from"] = [chance.of(*self.fields) for _ in range(chance.of(2, 3))]
        elif way == "sql":
            made["sql"] = self.expressions.any()
        elif way == "value":
            made["value"] = {"integer": 5, "boolean": True, "float": 7, "json": "{}"}.get(kind, "5")
        else:
            made["sql"] = chance.of(
                "$both", f"$both || {written('n.x')}", "CASE WHEN $has_mail THEN mail END"
            )
        if chance.has("apply", 0.5):
            names = [chance.pick(STEPS) for _ in range(chance.of(1, 1, 2, 3))]
            made["apply"] = [chance.of(*STEPS[name]) for name in names]
            if names[0] in _FITTING and isinstance(made.get("from"), str) and chance.maybe(0.7):
                made["from"] = _FITTING[names[0]]

    def _values(self, made: dict[str, Any], kind: str) -> None:
        chance = self.chance
        made["values"] = dict(_ANSWERS[kind])
        if kind == "text":
            lists = (
                "values",
                "$list",
                "$list and more",
                "$table",
                "$table.column",
                "$shared table",
            )
            named = {
                "$list": "$words", "$list and more": ["$words", {"x": "X", "1": "mine"}], "$table": "$stores",
                "$table.column": "$stores.group", "$shared table": "$groups.name",
            }  # fmt: skip
            made["values"] = named.get(chance.pick(lists), made["values"])
        if chance.has("unlisted", 0.8):
            made["unlisted"] = chance.pick(
                ("unlisted: reject", "unlisted: omit", "unlisted: keep")
            ).removeprefix("unlisted: ")

    def _endings(self, made: dict[str, Any], kind: str) -> None:
        chance = self.chance
        ways = ("on_invalid: reject", "on_invalid: omit", "on_invalid: omit", "on_invalid: null")
        made["on_invalid"] = chance.pick(ways).removeprefix("on_invalid: ")
        if chance.has("null: send", 0.2):
            made["null"] = "send"
        elif chance.has("default", 0.25) and "format" not in made:
            made["default"] = _DEFAULTS[kind]
        if "null" not in made and chance.has("required", 0.04):
            made["required"] = True
        if kind == "float" and chance.has("digits", 0.4):
            made["digits"] = chance.pick(("digits: round", "digits: reject")).removeprefix(
                "digits: "
            )
        if not self.is_feed and chance.has("recipe", 0.05):
            made["recipe"] = chance.of(True, False)
        if chance.has("description", 0.05):
            made["description"] = "what: it is"

    def consent(self) -> dict[str, Any]:
        """A consent column."""
        chance = self.chance
        made: dict[str, Any] = {
            "type": "boolean",
            "consent": True,
            "unlisted": chance.of("omit", "omit", "reject"),
        }
        made["values"] = {"1": True, "yes": True, "0": False, "true": True, "false": False}
        if chance.has("$ in consent", 0.2):
            made["values"] = "$answers"
        if chance.has("plain consent", 0.1):
            del made["values"], made["unlisted"]
        way = chance.pick(
            ("consent from one", "consent from several", "consent by SQL", "consent by SQL")
        )
        if way == "consent by SQL":
            made["sql"] = self._said()
        else:
            several = chance.of(["optin", "news"], ["a", "optin", "news"], ["n.x", "optin"])
            made["from"] = (
                several if way == "consent from several" else chance.of("optin", "optin", "a")
            )
        if chance.has("apply of a consent", 0.3):
            made["apply"] = [chance.pick(KEEPING_CONSENT)]
        if chance.has("default of a consent", 0.3):
            made["default"] = False
        elif chance.has("null: send of a consent", 0.15):
            made["null"] = "send"
        if "null" not in made and chance.has("required consent", 0.05):
            made["required"] = True
        made["on_invalid"] = chance.of("reject", "omit", "omit", "null")
        return made

    def _said(self) -> str:
        """An expression of a consent: most are right, many would speak for the silent."""
        if self.chance.has("consent of no answer", 0.25):
            # true where nobody says yes, by ways that no check of the file foresees
            return self.chance.of(
                "CASE WHEN optin = 'maybe' THEN '1' ELSE '0' END",
                "CASE WHEN LENGTH(a) > 40 THEN 'yes' END",
                "CASE WHEN amount LIKE '%,%' AND optin IS NOT NULL THEN 'true' END",
                "IF(STRPOS(mail, '@') > 0, '1', optin)",
            )
        test, more = self.own_expressions.truth(1), self.own_expressions.truth(0)
        return self.chance.of(
            f"CASE WHEN optin = '1' AND {test} THEN '1' ELSE '0' END",
            "CASE WHEN optin = '1' THEN 'true' ELSE 'false' END",
            "CASE WHEN COALESCE(optin, '0') = '1' THEN 'true' ELSE 'false' END",
            "LOWER(optin)",
            "COALESCE(news, optin)",
            f"CASE WHEN optin IN ('1', 'yes') AND {test} THEN 'yes' WHEN {more} THEN '0' END",
            "optin = '1' AND news IS NOT NULL",
            "(optin = '1') IS TRUE",
            "NULLIF(optin, news)",
            f"IF({test}, optin, news)",
            "CASE news WHEN '0' THEN 'false' ELSE optin END",
            "optin = 'yes' OR news = '1'",
            "GREATEST(optin, news)",
            "REPLACE(optin, 'ja', 'yes')",
            "CASE WHEN NOT (optin = '0') THEN 'true' ELSE 'false' END",
        )
