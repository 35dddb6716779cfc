"""public/endpoint.json: where the daemon of this machine listens."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.loopback import is_loopback_host
from shared.rpc_wire import ClientError

HOW_TO_START = (
    "An administrator starts it with: riskd service start." if sys.platform == "win32" else "Start it with: riskd run."
)


class EndpointError(ClientError):
    """public/endpoint.json does not lead to a daemon."""


class Endpoint(BaseModel):
    """public/endpoint.json: where the daemon listens. Only the daemon can write it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    host: str
    port: Annotated[int, Field(strict=True, ge=1, le=65535)]
    pid: Annotated[int, Field(strict=True, ge=1)] | None = None
    version: str | None = None
    instance: str | None = None
    started_at: str | None = None
    view: str | None = None


def read_endpoint(path: Path) -> Endpoint:
    """Reads public/endpoint.json. Raises EndpointError with the file and what to do."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise EndpointError(f"The daemon is not running: there is no {path}. {HOW_TO_START}") from None
    except OSError as error:
        raise EndpointError(f"{path} can't be read ({error.strerror or error}).") from error
    try:
        endpoint = Endpoint.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise EndpointError(
            f"{path} is damaged ({where}: {first['msg']}); restart the daemon, it writes it anew."
        ) from None
    if not is_loopback_host(endpoint.host):
        raise EndpointError(f"{path} names the host {endpoint.host!r}, which is not this machine; restart the daemon.")
    return endpoint
