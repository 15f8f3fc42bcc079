"""When a pruning run stops early: rules that ask an analyzer for a fact about each finished level."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerastickets import registry
from kerastickets.data.dataset import Data
from kerastickets.errors import RecipeError
from kerastickets.foundations.tree import masked
from kerastickets.registry.plugin_options import unknown
from kerastickets.structure.analysis import Analyzer, analyze, analyzer_takes
from kerastickets.tickets.operation import plugin_name
from kerastickets.tickets.ticket import Ticket

Value = bool | int | float | str | None

# A value contains no sign, so the last sign belongs to the rule, and earlier signs to the analyzer's options. A path
# begins with a letter, so the point in `share=0.5` does not separate analyzer and path.
_RULE = re.compile(
    r"(?P<spec>[^.:=<>!\s]+(?::.*?)?)\.(?P<path>[A-Za-z_][^.=<>!]*(?:\.[^.=<>!]+)*)"
    r"(?P<sign>!=|<=|>=|=|<|>)(?P<value>[^=<>!]+)"
)
_MOST_NAMES = 20


@dataclass(frozen=True)
class StopRule:
    """One rule, `ANALYZER.FACT=VALUE`.

    Args:
        text: the rule as it was written.
        spec: the analyzer's name, with its options.
        analyzer: an instance of the analyzer.
        path: the path to the fact, name by name, in the facts of the analyzer. Positions in lists count from 0.
        sign: `=`, `!=`, `<`, `<=`, `>` or `>=`.
        value: what the fact is compared with.
    """

    text: str
    spec: str
    analyzer: Analyzer
    path: tuple[str, ...]
    sign: str
    value: Value

    @classmethod
    def parse(cls, text: str) -> "StopRule":
        """Parse a rule.

        Args:
            text: the name of an analyzer, with options as in any plugin's spec; a point; names separated by points; a
                sign; and a value. The value is `true`, `false`, `null`, a number, or otherwise a text.

        Raises:
            RecipeError: the text is not such a rule.
            PluginError: there is no such analyzer, or it does not take these options.

        Example:
            >>> rule = StopRule.parse("separation:counts=outputs.category!=interconnected")
            >>> rule.spec, rule.path, rule.sign, rule.value
            ('separation:counts=outputs', ('category',), '!=', 'interconnected')
        """
        found = _RULE.fullmatch(text.strip()) if isinstance(text, str) else None
        if found is None:
            raise RecipeError(
                "A stop rule must be written ANALYZER.FACT=VALUE (or !=, <, <=, >, >=), as in "
                f"separation.category=degraded. Received: {text!r}"
            )
        sign, value = found["sign"], _value(found["value"].strip())
        if sign not in ("=", "!=") and not _number(value):
            raise RecipeError(f"A stop rule with {sign} must compare with a number. Received: {text!r}")
        analyzer = registry.create("analyzers", found["spec"])
        if 1 not in analyzer_takes(analyzer):
            raise RecipeError(
                f"A stop rule must ask an analyzer of one ticket; {plugin_name(analyzer)} takes "
                f"{analyzer_takes(analyzer)}. Received: {text!r}"
            )
        path = tuple(part.strip() for part in found["path"].split("."))
        return cls(text.strip(), found["spec"], analyzer, path, sign, value)

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether the rule holds for these facts. A fact that is null is neither less nor more than any number.

        Args:
            facts: the analyzer's facts about a ticket.

        Raises:
            RecipeError: there is no such fact, or it is of a different kind than the rule's value.

        Example:
            >>> StopRule.parse("separation.subnetworks>=2").holds({"subnetworks": 3})
            True
        """
        fact = self._fact(facts)
        kinds = {_kind(fact), _kind(self.value)} - {"null"}
        if len(kinds) > 1:
            raise RecipeError(
                f"`stop_when` must compare {self.name} with {_kind(fact)}, such as {json.dumps(fact)}. "
                f"Received: {self.text!r}"
            )
        if self.sign in ("=", "!="):
            return (fact == self.value) == (self.sign == "=")
        return fact is not None and _ORDERS[self.sign](fact, self.value)

    @property
    def name(self) -> str:
        """The full name of the fact, including the analyzer."""
        return ".".join((self.spec, *self.path))

    def _fact(self, facts: Mapping[str, Any]) -> Any:
        fact: Any = facts
        for depth, part in enumerate(self.path):
            inner = _inner(fact)
            if part not in inner:
                whose = ".".join((self.spec, *self.path[:depth]))
                raise RecipeError(
                    f"{unknown(f'fact of {whose}', part, _few(inner), 'Facts')} Received: {self.text!r}"
                )
            fact = inner[part]
        if isinstance(fact, Mapping | list | tuple):
            raise RecipeError(
                f"A stop rule must name a single fact; {self.name} has {', '.join(_few(_inner(fact))) or 'nothing'}. "
                f"Received: {self.text!r}"
            )
        return fact


_ORDERS = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def judged(ticket: Ticket, rules: Sequence[StopRule], data: Data) -> Ticket:
    """Try the rules on a level's ticket, and record the first that holds as `stopped_by` in its provenance.

    Args:
        ticket: the ticket of a finished level.
        rules: any number of rules.
        data: the data that the run trains on.

    Raises:
        RecipeError: a rule names a fact that its analyzer does not have.
        KerasTicketsError: an analyzer refuses the ticket or the data.
    """
    said: dict[str, Mapping[str, Any]] = {}
    for rule in rules:
        if rule.spec not in said:
            said[rule.spec] = analyze(rule.analyzer, ticket, data=data)
    # All rules are tried, so that a mistake in any of them is found at once.
    met = [rule.text for rule in rules if rule.holds(said[rule.spec])]
    return ticket.replace(provenance=dict(ticket.provenance) | {"stopped_by": met[0]}) if met else ticket


def try_rules(ticket: Ticket, rules: Sequence[StopRule], data: Data) -> None:
    """Try the rules before anything is trained, so that a mistake in any of them is found at once.

    Args:
        ticket: the ticket of level 0, not trained. The rules are tried as if it were trained.
        rules: any number of rules.
        data: the data that the run trains on.

    Raises:
        RecipeError: a rule names a fact that its analyzer does not have.
        KerasTicketsError: an analyzer refuses the ticket or the data.
    """
    final = masked(ticket.weights(), ticket.masks)
    judged(ticket.replace(snapshots=dict(ticket.snapshots) | {"final": final}), rules, data)


def _inner(fact: Any) -> dict[str, Any]:
    """The facts inside a fact, by name or position; empty for a single value."""
    if isinstance(fact, Mapping):
        return dict(fact)
    return {str(n): value for n, value in enumerate(fact)} if isinstance(fact, list | tuple) else {}


def _few(names: Mapping[str, Any]) -> list[str]:
    return [*names][:_MOST_NAMES]


def _value(text: str) -> Value:
    try:
        value = json.loads(text, parse_constant=lambda name: name)
    except ValueError:
        return text
    return text if isinstance(value, list | dict) else value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return "true or false" if isinstance(value, bool) else "a number" if _number(value) else "a text"
