"""Every noun that crosses a package boundary is a frozen model that refuses unknown fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Immutable, closed to unknown keys, and equal when its fields are equal."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, protected_namespaces=())
