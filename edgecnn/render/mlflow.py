"""Send builds to MLflow. No results are read back.

MLflow's client is imported with the first address. While the client works, environment variables disable its telemetry and
output, and set time-outs of seconds instead of minutes.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from edgecnn.errors.sweeps import (
    TRACKER_FOLDER_REFUSED,
    TRACKER_REFUSED,
    TRACKER_UNREACHABLE,
    TRACKER_WITHOUT_DATABASES,
)
from edgecnn.installed import require_packages
from edgecnn.render.tracking import MLFLOW, MLFLOW_FIGURES, Sent, TrackedRun, figures_only, hide_user, misread

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


EXPERIMENT: Final = "edgecnn"
"""Experiment of single builds. A sweep has an experiment with its name. MLFLOW_EXPERIMENT_NAME overrides both."""
TRAINED_MODEL_TAGS: Final = {"mlflow.experimentKind": "custom_model_development"}
"""Tag that MLflow 3 sets for trained models. Without this tag, its page opens as an evaluation of language models."""
BUILD_TAG, REPORT_TAG, ERROR_TAG = "edgecnn.build", "edgecnn.report", "error"
SUPERSEDED_TAG: Final = "edgecnn.superseded_by"
"""Tag of a run whose build has a newer report: the identifier of the newer run."""
_SOURCE: Final = {"mlflow.source.name": "edgecnn", "mlflow.source.type": "LOCAL"}
_DATABASES: Final = ("sqlite", "postgresql", "mysql", "mssql")
_BATCH: Final = 100
"""Number of parameters or tags that MLflow accepts at once; it accepts more metrics."""
_QUIET: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_CHECKING: Final = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
_SENDING: Final = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


class Address(NamedTuple):
    """Address of an MLflow server or store."""

    uri: str
    """The URI for the client, without user name and password."""
    shown: str
    """The address for messages, without a password."""
    user: str | None = None
    password: str | None = None

    def variables(self) -> dict[str, str]:
        """Return the variables with user name and password for the client, so that its errors do not show them."""
        values = {"MLFLOW_TRACKING_USERNAME": self.user, "MLFLOW_TRACKING_PASSWORD": self.password}
        return {name: value for name, value in values.items() if value is not None}


def address_of(text: str) -> Address:
    """Parse the address after ``--track``. Raises TRACKER_MISREAD."""
    shown = hide_user(text)
    kind, _, uri = text.partition(":")
    try:
        parts = urlsplit(uri)
        server, port = parts.scheme in ("http", "https"), parts.port
    except ValueError:  # its message may contain a part of a password
        raise misread(text, "its URI is not valid") from None
    if not uri.strip() or (server and not parts.hostname):
        raise misread(text, "it names no server" if server else f"nothing follows {kind}:")
    if not server or parts.username is None:
        return Address(uri, shown)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    bare = parts._replace(netloc=f"{host}" if port is None else f"{host}:{port}").geturl()
    return Address(bare, shown, unquote(parts.username), unquote(parts.password or ""))


class MlflowTracker:
    """An MLflow server or store.

    Raises:
        TRACKER_MISREAD: the address is invalid.
        MissingPackage: the extra ``mlflow`` is not installed.
        TRACKER_REFUSED, TRACKER_FOLDER_REFUSED, TRACKER_WITHOUT_DATABASES: MLflow does not accept the address here.
    """

    def __init__(self, text: str) -> None:
        self._at, self._figures_only = address_of(text), text.startswith(f"{MLFLOW_FIGURES}:")
        self.shown = self._at.shown
        require_packages(("mlflow-skinny",), extra=MLFLOW, needed_for="--track")
        self._check_store()
        with self._client_settings(_CHECKING):
            from mlflow import MlflowClient
            from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

            try:
                MlflowClient(tracking_uri=self._at.uri)
            except UnsupportedModelRegistryStoreURIException:
                raise TRACKER_REFUSED(address=self.shown) from None
            except Exception:  # noqa: BLE001 - ``ask`` reports a database that does not answer
                return

    def ask(self) -> None:
        """Check that the server answers within seconds. Raises TRACKER_UNREACHABLE."""
        with self._connected(_CHECKING) as client:
            client.get_experiment_by_name(EXPERIMENT)

    def send(self, run: TrackedRun, files: Sequence[Path] = (), experiment: str = "") -> Sent:
        """Write a run, unless a run with the same report exists. ``experiment``: a sweep's name.

        An earlier run with another report stays and names the new run, because MLflow cannot remove figures or files of a run.
        A run is marked as finished only after everything arrived. The next call completes an unfinished run.

        Raises:
            TrackerUnreachable: the server does not answer.
        """
        if self._figures_only:
            run, files = figures_only(run), ()
        with self._connected(_SENDING) as client:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or experiment or EXPERIMENT
            experiment_id = _experiment_id(client, name)
            stored_runs = list(client.search_runs([experiment_id], f"tags.`{BUILD_TAG}` = '{run.build}'"))
            stored = _run_to_complete(stored_runs, run)
            status = "FAILED" if run.failed else "FINISHED"
            if stored is not None and _is_complete(stored, status, run.report):
                return Sent(self._run_address(stored), name, anew=False)
            if stored is None:
                began = run.ended_ms - int(1000 * run.seconds)
                tags = {BUILD_TAG: run.build, REPORT_TAG: run.report, **_SOURCE}
                stored = client.create_run(experiment_id, began, tags, run.name)
            _write_run(client, stored, run)
            for file in files:
                client.log_artifact(stored.info.run_id, str(file))
            client.set_terminated(stored.info.run_id, status, run.ended_ms)
            _mark_superseded(client, stored_runs, stored)
            return Sent(self._run_address(stored), name, anew=True)

    def _run_address(self, run: Run) -> str:
        if not self._at.uri.startswith("http"):
            return self.shown
        return f"{hide_user(self._at.uri).rstrip('/')}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"

    def _check_store(self) -> None:
        """Refuse folders, which MLflow accepts only with a setting, and databases without SQLAlchemy."""
        scheme = urlsplit(self._at.uri).scheme.partition("+")[0]
        local = scheme == "file" or (len(scheme) < 2 and self._at.uri != "databricks")  # one letter is a drive of Windows
        if local and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
            raise TRACKER_FOLDER_REFUSED(address=self.shown)
        if scheme in _DATABASES and importlib.util.find_spec("sqlalchemy") is None:
            raise TRACKER_WITHOUT_DATABASES(address=self.shown)

    @contextmanager
    def _connected(self, patience: dict[str, str]) -> Iterator[MlflowClient]:
        with self._client_settings(patience):
            from mlflow import MlflowClient

            try:
                yield MlflowClient(tracking_uri=self._at.uri)
            except Exception as error:  # its stores raise errors of many libraries; no build fails because of them
                raise TRACKER_UNREACHABLE(address=self.shown, because=_error_reason(error, self._at)) from error

    @contextmanager
    def _client_settings(self, patience: dict[str, str]) -> Iterator[None]:
        """Set the client's variables for the block. For sending, the user's own time-outs take precedence."""
        stated = os.environ if patience is _SENDING else {}
        settings = {**{name: stated.get(name, value) for name, value in patience.items()}, **_QUIET, **self._at.variables()}
        before, silenced = {name: os.environ.get(name) for name in settings}, logging.root.manager.disable
        os.environ.update(settings)
        logging.disable(logging.CRITICAL)
        try:
            with warnings.catch_warnings(action="ignore"):
                yield
        finally:
            logging.disable(silenced)
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _experiment_id(client: MlflowClient, name: str) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name, tags=TRAINED_MODEL_TAGS))
        except MlflowException:  # another build made it at the same time
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    return str(experiment.experiment_id)


def _run_to_complete(stored_runs: Sequence[Run], run: TrackedRun) -> Run | None:
    """Return the run with this report, complete or not; otherwise the run of a failed build, which has only an error."""
    same = next((stored for stored in stored_runs if stored.data.tags.get(REPORT_TAG) == run.report), None)
    failed = (stored for stored in stored_runs if stored.info.status == "FAILED" and SUPERSEDED_TAG not in stored.data.tags)
    return same or next(failed, None)


def _is_complete(stored: Run, status: str, report: str) -> bool:
    tags = stored.data.tags
    return (stored.info.status, tags.get(REPORT_TAG)) == (status, report) and SUPERSEDED_TAG not in tags


def _mark_superseded(client: MlflowClient, stored_runs: Sequence[Run], newer: Run) -> None:
    for older in stored_runs:
        run_id, tags = older.info.run_id, older.data.tags
        if run_id != newer.info.run_id and SUPERSEDED_TAG not in tags:
            client.set_tag(run_id, SUPERSEDED_TAG, newer.info.run_id)
            if older.info.status == "RUNNING":  # it never arrived completely
                client.set_terminated(run_id, "KILLED")


def _write_run(client: MlflowClient, stored: Run, run: TrackedRun) -> None:
    from mlflow.entities import Metric, Param, RunTag

    run_id, tags = stored.info.run_id, stored.data.tags
    client.update_run(run_id, "RUNNING")
    for key in (tags.keys() - run.tags.keys()) & {ERROR_TAG, SUPERSEDED_TAG}:  # a team's own tags stay
        client.delete_tag(run_id, key)
    client.set_tag(run_id, REPORT_TAG, run.report)
    parameters = [Param(key, value) for key, value in run.parameters.items()]
    metrics = [Metric(key, value, run.ended_ms, 0) for key, value in run.metrics.items()]
    run_tags = [RunTag(key, value) for key, value in run.tags.items()]
    for start in range(0, max(map(len, (parameters, metrics, run_tags))), _BATCH):
        part = slice(start, start + _BATCH)
        client.log_batch(run_id, metrics=metrics[part], params=parameters[part], tags=run_tags[part])


def _error_reason(error: Exception, at: Address) -> str:
    """Return the reason from a client's long error text, without secrets."""
    text = " ".join(str(error).split())
    if refused := re.search(r"\[Errno -?\d+\] ([\w ,]+)", text):
        return refused.group(1).lower()
    if "timed out" in text:
        return "it did not answer in time"
    for secret in filter(None, (at.password, at.uri if re.search("[@?]", at.uri) else None)):
        text = text.replace(secret, "…")
    return re.sub(r"//\S*@", "//…@", text)[:300] or type(error).__name__
