"""One shop event on the wire (DESIGN §3). Unknown keys are kept with the event."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

EventType = Literal["page_view", "view", "click", "add_to_cart", "remove_from_cart", "purchase", "search"]
Text = Annotated[str | None, Field(max_length=2048)]
Key = Annotated[str | None, Field(min_length=1, max_length=256)]


class Click(BaseModel):
    """What a shopper did, once: `event_id` is its identity however often it is sent."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)

    event_id: Annotated[str, Field(min_length=1, max_length=128)]
    event_type: EventType
    timestamp: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    user_id: Key = None
    session_id: Key = None
    page: Text = None
    item_id: Key = None
    item_name: Text = None
    category: Text = None
    click_count: Annotated[int, Field(ge=0, le=1_000_000_000)] = 1
    price: Annotated[float | None, Field(ge=0)] = None
    quantity: Annotated[float | None, Field(ge=0)] = None
    order_id: Key = None
    device_type: Text = None
    referrer_url: Text = None
    location: Text = None
    browser: Text = None
    user_type: Literal["new", "returning"] | None = None


class ClickBatch(BaseModel):
    """Several events in one request; each is judged on its own."""

    events: list[Click]
