"""Prometheus' HTTP API by prometheus-api-client: prepared session, errors that name the cause.

Everything here blocks: it runs on the threads of a `DaemonExecutor`.
"""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mailtui.connections import http_errors
from mailtui.connections.clean import clean, clean_tree
from mailtui.connections.errors import SourceError

if TYPE_CHECKING:
    from prometheus_api_client import PrometheusConnect
    from requests import Session

    from mailtui.config.sources.prometheus import Settings


class QueryFailed(Exception):
    """Prometheus answered that it cannot evaluate a query (bad_data, execution, timeout…)."""


class PrometheusClient:
    """One Prometheus server. `authorization`: value of that header, or empty."""

    def __init__(self, settings: Settings, authorization: str) -> None:
        self._settings = settings
        self._authorization = authorization

    def query(self, promql: str) -> Any:
        """`result` of an instant query: a list of series, or [time, text] of a scalar.

        Raises QueryFailed, SourceError.
        """
        return self._answer(lambda: self._connect.custom_query(promql))

    def query_range(self, promql: str, start: float, end: float, step: float) -> Any:
        """`result` of a range query; whole epoch seconds. Raises QueryFailed, SourceError."""
        return self._answer(
            lambda: self._connect.custom_query_range(
                promql,
                datetime.fromtimestamp(start, UTC),
                datetime.fromtimestamp(end, UTC),
                f"{step:g}",
            )
        )

    def targets(self) -> Any:
        """`data` of `/api/v1/targets?state=active`."""
        return self._answer(lambda: self._connect.get_targets(state="active"))

    def get(self, path: str) -> Any:
        """`data` of an endpoint that the library has no method for."""

        def answer() -> Any:
            url = f"{self._settings.url}{path}"
            response = self._session.get(url, timeout=self._settings.timeout)
            return response.json()["data"]

        return self._answer(answer)

    def close(self) -> None:
        """Drop the connections."""
        if "_session" in self.__dict__:
            self._session.close()

    def _answer(self, ask: Any) -> Any:
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        settings = self._settings
        try:
            return clean_tree(ask())
        except ValueError:  # requests' JSON error is one, and a RequestException too
            raise http_errors.not_json("prometheus", settings.url, b"{") from None
        except (RequestException, HTTPError, OSError) as error:
            raise http_errors.of_exception(
                "prometheus", settings.url, _cause(error), settings.timeout
            ) from None
        except (KeyError, TypeError):
            raise http_errors.not_json("prometheus", settings.url, b"{") from None

    @cached_property
    def _connect(self) -> PrometheusConnect:
        from prometheus_api_client import PrometheusConnect
        from urllib3.util import Retry

        return PrometheusConnect(
            url=self._settings.url,
            session=self._session,
            retry=Retry(total=0, read=False, redirect=0),
            timeout=self._settings.timeout,
        )

    @cached_property
    def _session(self) -> Session:
        from requests import PreparedRequest, Response, Session
        from requests.auth import AuthBase

        settings, authorization = self._settings, self._authorization

        class Authorization(AuthBase):
            def __call__(self, request: PreparedRequest) -> PreparedRequest:
                if authorization:
                    request.headers["Authorization"] = authorization
                return request

        class Checked(Session):
            """Turns what is not an answer of Prometheus into an error that says what it is."""

            def send(self, request: PreparedRequest, **options: Any) -> Response:
                response = super().send(request, **options)
                if not response.is_redirect:
                    _check(response.status_code, response.headers, response.content, settings.url)
                return response

        session = Checked()
        # set, so that a .netrc never replaces it
        session.auth = Authorization()
        system = ssl.get_default_verify_paths()
        session.verify = str(settings.tls.ca or system.cafile or system.capath or True)
        if session.verify == "True":
            session.verify = True
        if (certificate := settings.tls.certificate) is not None:
            key = settings.tls.key
            session.cert = (str(certificate), str(key)) if key else str(certificate)
        return session


def _cause(error: BaseException) -> BaseException:
    """What is behind "Max retries exceeded", whose text is the whole query."""
    wrapped = error.args[0] if error.args else None
    reason = getattr(wrapped, "reason", None)
    if not isinstance(reason, BaseException):
        return error
    if any(base.__name__ == "NewConnectionError" for base in type(reason).__mro__):
        # in urllib3 a refused connection is a kind of timeout
        return ConnectionError(str(reason))
    return reason


def _check(status: int, headers: Any, body: bytes, url: str) -> None:
    """Raise QueryFailed or SourceError unless this is a good answer in JSON."""
    start = body.lstrip()[:1]
    if status >= 400 and start == b"{":
        try:
            data = json.loads(body)
        except ValueError:
            data = {}
        if isinstance(data, dict) and data.get("status") == "error" and data.get("errorType"):
            kind, said = clean(str(data["errorType"])), clean(str(data.get("error", "")))
            raise QueryFailed(f"{kind}: {said[:300]}")
    if status >= 400:
        raise http_errors.of_status("prometheus", status, headers, body)
    if start != b"{":
        raise http_errors.not_json("prometheus", url, body)


def failed(error: QueryFailed) -> SourceError:
    """The error of a source whose every query failed."""
    return SourceError("server", f"prometheus: {error}", "see `queries` and `labels`")
