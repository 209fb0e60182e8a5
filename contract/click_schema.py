"""One shop event on the wire, as its JSON Schema shows it; contract.click_records reads and judges events.

Unknown keys are kept with the event. Only `event_id` can refuse an event: any other field that is wrong is set to null,
named in the receipt, and kept under `refused_fields` and `refused_values`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

EVENT_TYPES = ("page_view", "view", "click", "add_to_cart", "remove_from_cart", "purchase", "search")
"""The types that the counters and the funnel know; any other `[a-z][a-z0-9_]{0,63}` is counted under its own name."""

Text = Annotated[str | None, Field(min_length=1, max_length=2048)]
Key = Annotated[str | int | None, Field(min_length=1, max_length=256, description="text; a number is taken as text")]
Time = Annotated[str | None, Field(json_schema_extra={"format": "date-time"})]
Amount = Annotated[float | None, Field(ge=0)]


class ClickLine(BaseModel):
    """One line of a purchase."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    item_id: Key = None
    item_name: Text = None
    category: Text = None
    price: Amount = None
    quantity: Amount = None


class Click(BaseModel):
    """What a shopper did, once: `event_id` is its identity however often it is sent."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, defer_build=True)

    event_id: Annotated[
        str | int | None,
        Field(min_length=1, max_length=128, description="without one, the event's content is its identity"),
    ] = None
    event_type: Annotated[str | None, Field(pattern="^[a-z][a-z0-9_]{0,63}$")] = None
    timestamp: Time = None
    sent_at: Annotated[
        str | None,
        Field(
            json_schema_extra={"format": "date-time"},
            description="the browser's clock when it sends; in the event, or once beside `events`",
        ),
    ] = None
    user_id: Key = None
    session_id: Key = None
    customer_id: Key = None
    browser_id: Annotated[Key, Field(description="the shop's own id of a browser, where it has one")] = None
    page: Text = None
    title: Text = None
    item_id: Key = None
    item_name: Text = None
    category: Text = None
    click_count: Annotated[int | None, Field(ge=0, le=1_000_000_000)] = 1
    price: Amount = None
    quantity: Amount = None
    currency: Text = None
    order_id: Key = None
    lines: list[ClickLine] | None = None
    device_type: Text = None
    browser: Text = None
    os: Text = None
    is_bot: Annotated[bool | None, Field(description="added by the door; true is never taken back")] = None
    automated: Annotated[bool | None, Field(description="navigator.webdriver")] = None
    language: Text = None
    screen: Text = None
    location: Text = None
    country: Annotated[Text, Field(description="ISO 3166-1, two letters")] = None
    region: Text = None
    country_source: Annotated[Text, Field(description="cdn, database or guessed (from the language)")] = None
    network: Annotated[Text, Field(description="the sender's address without its last part")] = None
    referrer_url: Text = None
    referrer_class: Annotated[Text, Field(description="direct, internal, search, social, mail or other")] = None
    utm_source: Text = None
    utm_medium: Text = None
    utm_campaign: Text = None
    utm_term: Text = None
    utm_content: Text = None
    search_term: Text = None
    search_results: Amount = None
    engaged_seconds: Amount = None
    scroll_percent: Annotated[float | None, Field(ge=0, le=100)] = None
    recommendation_id: Key = None
    model_version: Text = None
    placement: Text = None
    position: Amount = None
    user_type: Literal["new", "returning"] | None = None
    properties: dict[str, Any] | None = None


class ClickBatch(BaseModel):
    """Several events in one request; each is judged on its own."""

    model_config = ConfigDict(defer_build=True)

    events: list[Click]
    sent_at: Time = None
