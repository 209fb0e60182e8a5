"""In which currency a customer's revenue is summed: as the marts sum it, by the settings of the warehouse."""

from decimal import Decimal

from pydantic import BaseModel, Field


class Money(BaseModel):
    """The two keys of `[warehouse]` that segments share with the marts.

    currency: the main one. rates: another currency → its worth in the main one.
    """

    currency: str = "EUR"
    rates: dict[str, float] = Field(default_factory=dict)

    def worth(self, amount: Decimal, currency: str | None) -> Decimal | None:
        """An amount in the main currency.

        Args:
            amount: in `currency`.
            currency: ISO 4217; None for unknown.

        Returns:
            Not rounded; None where there is no rate for it.
        """
        if currency == self.currency:
            return amount
        rate = self.rates.get(currency or "")
        return None if rate is None else amount * Decimal(str(rate))
