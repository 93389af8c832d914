"""`DeclaredFeatures`: the features of a stream by name, and what a change of each of them means.

Detection asks here for the role of what moved, and for the feature that stands for a role, so that it knows no feature
by its name. The log carries names only. Declarations come from the registry of the worker that reads it, so a role
needs no field on the wire.

Pure. May import `finding` of this package and `monitor.features`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from monitor.detection.records.finding import FAMILY_MISSING, base_name
from monitor.features.base import FeatureSpec, Kind, Role
from monitor.features.families.keyed_templates import spec_of
from monitor.features.keyed import has_key

_LAST = 1_000_000
"""Stands for no `lead`: after every feature that has one."""


class DeclaredFeatures(dict[str, FeatureSpec]):
    """Declarations by name, columns with a key (single dependencies, keys of JSON outputs) among them.

    Besides declared names the methods take the names that findings give to what is derived from a feature: its tail,
    its spread, and the missing values of its family.
    """

    def __init__(self, specs: Iterable[FeatureSpec]) -> None:
        super().__init__((spec.name, spec) for spec in specs)
        self._families = _roles_of_families(self.values())
        self._leading: dict[tuple[Role, str | None], str | None] = {}  # asked for every block of rows

    def spec(self, name: str) -> FeatureSpec | None:
        """The declaration behind the name of a change; None where it has none, as missing values."""
        feature = base_name(name)
        return self.get(feature) or spec_of(feature)

    def role(self, name: str) -> Role | None:
        """What a change of this name means.

        Missing values of a family mean what most of the family's features do. None where nothing is declared.
        """
        spec = self.spec(name)
        if spec is not None:
            return spec.role
        return self._families.get(name.removesuffix(FAMILY_MISSING)) if name.endswith(FAMILY_MISSING) else None

    def leading(self, role: Role, side: str | None = None) -> str | None:
        """The feature that stands for a role, of one side where that is given: the lowest `lead`, then the first."""
        asked = (role, side)
        if asked not in self._leading:
            named = [spec for spec in self.values() if spec.role is role and side in (None, spec.side)]
            first = min(named, key=lambda spec: _LAST if spec.lead is None else spec.lead, default=None)
            self._leading[asked] = None if first is None else first.name
        return self._leading[asked]

    @property
    def input_length(self) -> str | None:
        """The feature that has a value exactly where an event has an input."""
        return self.leading(Role.LENGTH, "input")


def side_of(name: str) -> str:
    """`input`, `output` or `call`, by the name of a change."""
    return name.split(".", 1)[0]


def family_of(name: str) -> str:
    """`output.length.chars` -> `output.length`."""
    return name.rsplit(".", 1)[0]


def _roles_of_families(specs: Iterable[FeatureSpec]) -> dict[str, Role]:
    """The role that most features of each family have, by the family's name; families without such a role are left out.

    As missing values are counted: without categories and without what has a key (single dependencies, keys of JSON).
    """
    members: dict[str, Counter[Role]] = {}
    for spec in specs:
        if spec.kind is not Kind.CATEGORY and not has_key(spec.name):
            members.setdefault(family_of(spec.name), Counter())[spec.role] += 1
    found: dict[str, Role] = {}
    for family, roles in members.items():
        (role, most), *others = roles.most_common(2)
        if not others or others[0][1] < most:
            found[family] = role
    return found
