"""`GET /v1/recommendations`, and SageMaker's container contract: `GET /ping`, `POST /invocations`.

By item (`item_id=`, `items=a,b,c`) the answer is public: it says nothing that the page did not say itself. By session
or customer it tells what somebody looked at or bought, so it needs a key. Items have the name and price that the
catalogue has.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from commerce.http.access import KeyedAccess
from commerce.http.replies import answering, read_json, reply
from commerce.recommendations.serving import MOST, Recommendations
from contract.errors import Misconfigured
from contract.http_refusals import RequestRefused, retry_after

_DEFAULT = 10
_MOST_SEEN = 50
_PUBLIC = {"access-control-allow-origin": "*", "cache-control": "public, max-age=60"}

SeenBy = Callable[[str], Sequence[str]]
"""session_id → item_ids that it looked at, the newest last."""


class Interests(NamedTuple):
    """A customer's. seen: item_ids, the newest last. bought: lately, and not to be shown again."""

    seen: Sequence[str]
    bought: Collection[str]


InterestsOf = Callable[[str], Interests]
"""customer_id → what is known; both empty for somebody unknown."""


def _nobodys(_: str) -> Interests:
    return Interests((), ())


class RecommendationDoors:
    """The doors of recommendations, answered from memory."""

    def __init__(
        self,
        recommendations: Recommendations,
        access: KeyedAccess,
        *,
        seen_by: SeenBy,
        interests_of: InterestsOf = _nobodys,
    ) -> None:
        """
        Args:
            recommendations: what answers.
            access: who may ask by session and by customer.
            seen_by: what a session has looked at.
            interests_of: what a customer has looked at and bought.
        """
        self._recommendations, self._access = recommendations, access
        self._seen_by, self._interests_of = seen_by, interests_of

    @property
    def routes(self) -> list[Route]:
        """What an application mounts."""
        return [
            Route("/v1/recommendations", answering(self._get), methods=["GET"]),
            Route("/ping", answering(self._ping), methods=["GET"]),
            Route("/invocations", answering(self._invoke), methods=["POST"]),
        ]

    async def _get(self, request: Request) -> Response:
        query = request.query_params
        n = _count(query.get("n", str(_DEFAULT)))
        if customer_id := query.get("customer_id"):
            self._access.demand(request)
            known = await run_in_threadpool(self._interests_of, customer_id)
            return self._answer(known.seen[-_MOST_SEEN:], n, {}, without=known.bought)
        if session_id := query.get("session_id"):
            self._access.demand(request)
            seen: Sequence[str] = await run_in_threadpool(self._seen_by, session_id)
            return self._answer(seen, n, {})
        if self._recommendations.model() is None:  # a shop's page shows nothing then, and it is no error of the page's
            return reply({"model_version": None, "items": []}, headers=_PUBLIC)
        named = query.get("items", query.get("item_id", ""))
        return self._answer([item for item in named.split(",") if item][-_MOST_SEEN:], n, _PUBLIC)

    async def _ping(self, _: Request) -> Response:
        return Response(status_code=200 if self._recommendations.model() else 503)

    async def _invoke(self, request: Request) -> Response:
        """`{"items": [item_id, …], "n": 10}` → the same items, by id alone: a container has no catalogue."""
        self._access.demand(request)
        document, _ = await read_json(request)
        said = document if isinstance(document, dict) else {}
        items = said.get("items", [])
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise RequestRefused(422, "must be a list of item_ids", field="items")
        return self._answer(items[-_MOST_SEEN:], _count(str(said.get("n", _DEFAULT))), {}, ids_only=True)

    def _answer(
        self,
        seen: Sequence[str],
        n: int,
        headers: dict[str, str],
        *,
        ids_only: bool = False,
        without: Collection[str] = (),
    ) -> Response:
        model, answering = self._recommendations.model(), self._recommendations
        try:
            items: Sequence[object] = answering.top(seen, n) if ids_only else answering.items(seen, n, without=without)
        except Misconfigured as error:
            raise RequestRefused(503, str(error), headers=[retry_after(60)]) from None
        return reply({"model_version": model.version if model else None, "items": items}, headers=headers)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise RequestRefused(422, f"must be a whole number from 1 to {MOST}, not {text[:40]!r}", field="n")
    return int(text)
