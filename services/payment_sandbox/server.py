"""The provider over HTTP: routes, test tokens and ordered outages."""

import asyncio
import json
from typing import Any, NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

from services.payment_sandbox.books import Books
from services.payment_sandbox.ledger import Entry, Ledger
from services.payment_sandbox.outage import Outage
from services.payment_sandbox.problems import Problem, answer_problems
from services.payment_sandbox.requests import Charge, OutageOrder, Refund, read_body, read_key, read_page
from services.payment_sandbox.settings import SandboxSettings
from services.payment_sandbox.tokens import Script, script_of

Document = dict[str, Any]
_REFUNDS = "/v1/refunds"


def create_app(settings: SandboxSettings, ledger: Ledger) -> web.Application:
    """Create the whole provider; on shutdown it books what it promised and releases hanging requests."""
    sandbox = Sandbox(settings, ledger)
    app = web.Application(middlewares=[answer_problems], client_max_size=settings.max_body_bytes)
    app.add_routes(
        [
            web.post("/v1/charges", sandbox.guarded(sandbox.post_charge)),
            web.post(_REFUNDS, sandbox.guarded(sandbox.post_refund)),
            web.get("/v1/charges/{key}", sandbox.guarded(sandbox.get_charge)),
            web.get("/v1/ledger", sandbox.get_ledger),
            web.get("/livez", sandbox.get_livez),
            web.get("/admin/outage", sandbox.get_outage),
            web.post("/admin/outage", sandbox.post_outage),
        ]
    )
    app.on_shutdown.append(sandbox.shut_down)
    return app


class Sandbox:
    """The handlers of the routes."""

    def __init__(self, settings: SandboxSettings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._books = Books(ledger)
        self._outage = Outage()
        self._failed_once: set[str] = set()
        self._late: set[asyncio.Task[Entry]] = set()
        self._closing = asyncio.Event()

    def guarded(self, handler: Handler) -> Handler:
        """Wrap the handler in the outage that is ordered at the time of the request."""

        async def guard(request: web.Request) -> web.StreamResponse:
            match self._outage.now().mode:
                case "hang":
                    await self._hang()
                case "error":
                    raise Problem(500, "Internal error", "an ordered outage: mode error")
                case "down":
                    raise Problem(503, "Service unavailable", "an ordered outage: mode down")
                case "no_refunds" if request.path == _REFUNDS:
                    raise Problem(422, "Refund refused", "an ordered outage: mode no_refunds")
            return await handler(request)

        return guard

    async def post_charge(self, request: web.Request) -> web.StreamResponse:
        """Charges at most once for each key; the first final result is the answer for ever."""
        key, charge = read_key(request), await read_body(request, Charge)
        final = self._books.find(key, charge.fingerprint())
        if final is not None:
            return _replayed(_charge_document(final))
        return await self._perform(key, charge, script_of(charge.payment_token))

    async def post_refund(self, request: web.Request) -> web.StreamResponse:
        """Refunds at most once for each charge; 409 as long as the charge is not final."""
        key, refund = read_key(request), await read_body(request, Refund)
        final = self._books.find(key, refund.fingerprint())
        if final is not None:
            return _replayed(_refund_document(final))
        return _json(_refund_document(await self._books.refund(key, refund)), 201)

    async def get_charge(self, request: web.Request) -> web.StreamResponse:
        """Return the charge under a key: final, pending (202) or unknown (404)."""
        key = request.match_info["key"]
        if self._books.is_running(key):
            return _json({"status": "pending", "key": key}, 202)
        entry = self._ledger.find(key)
        if entry is None or entry.kind != "charge":
            raise Problem(404, "No such charge", f"nothing was booked under {key}", "key")
        return _json(_charge_document(entry))

    async def get_ledger(self, request: web.Request) -> web.StreamResponse:
        """Return a page of final entries, in order; `next` is the `after` of the following page or null."""
        page = read_page(request)
        entries = self._ledger.page(page.after, page.limit)
        following = entries[-1].seq if len(entries) == page.limit else None
        return _json({"entries": [_ledger_line(entry) for entry in entries], "next": following})

    async def get_livez(self, _: web.Request) -> web.StreamResponse:
        """Answer that the process is alive, whatever outage was ordered."""
        return _json({"status": "ok"})

    async def get_outage(self, _: web.Request) -> web.StreamResponse:
        """Return the current mode of the outage."""
        return _json(self._outage.now().model_dump())

    async def post_outage(self, request: web.Request) -> web.StreamResponse:
        """Start or end an outage of charges and refunds; /ledger, /livez and /outage stay reachable."""
        self._outage.order(await read_body(request, OutageOrder))
        return _json(self._outage.now().model_dump())

    async def shut_down(self, _: web.Application) -> None:
        """Books late charges now and answers whatever hangs."""
        self._closing.set()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _perform(self, key: str, charge: Charge, script: Script) -> web.StreamResponse:
        match script.manner:
            case "error":
                raise Problem(500, "Internal error", "tok_error always fails; nothing was booked")
            case "hang_always":
                await self._hang()
            case "fail_once" if key not in self._failed_once:
                self._failed_once.add(key)
                raise Problem(500, "Internal error", "tok_fail_once fails once; nothing was booked")
            case "late":
                return self._promise(key, charge, script)
        entry = await self._charge(key, charge, script)
        if script.manner == "hang":
            await self._hang()
        return _json(_charge_document(entry), 201)

    async def _charge(self, key: str, charge: Charge, script: Script, delay_s: float = 0.0) -> Entry:
        with self._books.running(key, charge.fingerprint()):
            if delay_s:
                await self._closing_within(delay_s)
            return await self._books.charge(key, charge, script.declined_because)

    def _promise(self, key: str, charge: Charge, script: Script) -> web.StreamResponse:
        task = asyncio.create_task(self._charge(key, charge, script, self._settings.late_ms / 1_000))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return _json({"status": "pending", "key": key}, 202)

    async def _hang(self) -> NoReturn:
        await self._closing_within(self._settings.hang_s)
        raise Problem(503, "Service unavailable", "this request was left hanging")

    async def _closing_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass


def _charge_document(entry: Entry) -> Document:
    return {
        "status": entry.status, "charge_id": entry.entry_id, "reason": entry.reason,
        "amount": entry.amount, "currency": entry.currency, "order_id": entry.order_id,
    }  # fmt: skip


def _refund_document(entry: Entry) -> Document:
    return {
        "status": entry.status, "refund_id": entry.entry_id, "amount": entry.amount,
        "currency": entry.currency, "order_id": entry.order_id, "charge_key": entry.charge_key,
    }  # fmt: skip


def _ledger_line(entry: Entry) -> Document:
    return {
        "seq": entry.seq, "kind": entry.kind, "key": entry.key, "order_id": entry.order_id, "amount": entry.amount,
        "currency": entry.currency, "status": entry.status, "reason": entry.reason, "id": entry.entry_id,
        "charge_key": entry.charge_key, "at": entry.at,
    }  # fmt: skip


def _replayed(document: Document) -> web.Response:
    response = _json(document)
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _json(document: Document, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(document).encode(), status=status, content_type="application/json")
