"""Whether the versions that a plan was made from are one snapshot: DynamoDB's queries are none."""

from dataclasses import dataclass, field

from collector.stores.dynamodb import items
from collector.stores.dynamodb.items import Item


@dataclass(slots=True)
class Seen:
    """What was read of a truck's history for a plan.

    current: order key of the version that the head says is the current one. before: order key → the version found
    before it, None if none. revs: order key → `rev` of each version. torn: what was read is no snapshot, since a
    version that must stand between two others was not there, or one version was read twice and had changed meanwhile.
    """

    current: str | None = None
    before: dict[str, Item | None] = field(default_factory=dict)
    revs: dict[str, int] = field(default_factory=dict)
    torn: bool = False

    def follows(self, before: Item | None, item: Item | None) -> None:
        """`item` was found next after `before`; None: there was none."""
        for each in (before, item):
            if each:
                rev = int(each["rev"]["N"])
                # Two late runs of one chunk may read one version. The later rev alone would be confirmed, while the
                # earlier run was planned from the state before it.
                self.torn |= self.revs.setdefault(each["order_key"]["S"], rev) != rev
        if item is not None:
            self.torn |= not items.precedes(before, item)
        else:  # where the head knows a version there is one, and none stands after it
            self.torn |= before is None or before["order_key"]["S"] != self.current
