"""Faults on order: a method of the Web API that fails in a chosen way the next few times."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from bot.demo.slack.refusal import SlackRefusal

FaultKind = Literal["error", "429", "503", "drop", "delay"]


@dataclass(slots=True)
class Fault:
    """`value` is the error's name, or seconds; `after_effect` lets the call work first and spoils the answer only.

    "503" is answered by what stands before Slack, so not in JSON.
    """

    method: str
    kind: FaultKind
    value: str = ""
    times: int = 1
    after_effect: bool = False


class Faults:
    """The faults that are still to happen, in the order in which they were ordered."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        if fault.kind in {"429", "delay"} and not fault.value.replace(".", "", 1).isdecimal():
            raise SlackRefusal("invalid_arguments", f"a fault of kind {fault.kind} needs seconds as its value")
        if fault.kind == "error" and not fault.value:
            raise SlackRefusal("invalid_arguments", "a fault of kind error needs the error's name as its value")
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    async def strike(self, method: str, request: web.Request, *, after_effect: bool) -> web.Response | None:
        """The answer that a fault puts in place of the real one; None if the call is to go on."""
        for fault in self._waiting:
            if fault.method in {method, "*"} and fault.after_effect is after_effect:
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
                return await _spoil(fault, request)
        return None


async def _spoil(fault: Fault, request: web.Request) -> web.Response | None:
    match fault.kind:
        case "error":
            return web.json_response({"ok": False, "error": fault.value})
        case "429":
            body = {"ok": False, "error": "ratelimited"}
            return web.json_response(body, status=429, headers={"Retry-After": fault.value})
        case "503":
            return web.Response(status=503, text="<html>Service Unavailable</html>", content_type="text/html")
        case "drop":
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        case "delay":
            await asyncio.sleep(float(fault.value))
            return None
