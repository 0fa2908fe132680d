"""What is asked of the store: one stage under given tool versions, on given inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgecnn.values.artifact import Artifact, FoundInput, InputFact
from edgecnn.values.key import Key, canonical_json, digest_of
from edgecnn.values.stage import Role, Stage


@dataclass(frozen=True)
class StageInputs:
    """What a stage is made under and from."""

    versions: Mapping[str, str]
    """Version of each distribution that the stage names in ``tools``."""
    given: Mapping[Role, FoundInput]
    """Every input of the stage."""
    environment: Mapping[str, str]
    """What this machine is, for the record; it does not enter the key."""


@dataclass(frozen=True)
class Wanted:
    """A key with all that it stands for, and the bytes that are there to make it from."""

    kind: str
    key: Key
    payload: Mapping[str, Any]
    inputs: Mapping[Role, InputFact]

    @classmethod
    def of(cls, stage: Stage, versions: Mapping[str, str], given: Mapping[Role, FoundInput]) -> Wanted:
        """Describe a request.

        Raises:
            UnstableValue: a setting has no stable form.
            ValueError: ``given`` is not what the stage's inputs name.
        """
        for role, found in given.items():
            if stage.inputs.get(role) != found.key:
                raise ValueError(f"{stage.kind}: given[{role!r}] has key {found.key}, its inputs name {stage.inputs.get(role)}")
        text = canonical_json(stage.payload(versions))
        payload = json.loads(text)
        inputs = {role: InputFact(key=found.key, content=found.content) for role, found in given.items()}
        return cls(kind=stage.kind, key=digest_of(payload), payload=payload, inputs=inputs)

    @property
    def name(self) -> str:
        """For people: ``quantize 1a2b3c4d5e6f``."""
        return f"{self.kind} {self.key[:12]}"

    def changed_inputs(self, stored: Artifact) -> tuple[str, ...]:
        """A line for each given input whose bytes are not those that the stored artifact was made from."""
        return tuple(
            f"{self.kind}: {role} {'were' if role.endswith('s') else 'was'} made again with other bytes"
            for role, fact in self.inputs.items()
            if (recorded := stored.record.inputs.get(role)) is None or recorded.content != fact.content
        )
