"""What commands print as JSON of declarations: policies, schemas, the topology, and profiles of clusters."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from ensemble.command_line.documents import Document


class ChosenProfile(Document):
    """The profile that commands use from now on; null if they use none."""

    profile: str | None
    cluster: str | None


class ProfileDocument(Document):
    """A profile with its settings, each under its name; of a secret where it is."""

    model_config = ConfigDict(extra="allow")

    profile: str
    file: str
    __pydantic_extra__: dict[str, Any] = Field(init=False)


class PolicyFileDocument(Document):
    """The file that policies come from."""

    path: str
    fingerprint: str


class PolicyValueRow(Document):
    """A value in force, and where it comes from."""

    section: str
    key: str
    value: Any
    origin: str


class ServicePolicies(Document):
    """All policies of a service."""

    service: str
    file: PolicyFileDocument | None
    values: list[PolicyValueRow]


class SchemaProblemRow(Document):
    """What is wrong with a schema."""

    name: str = Field(alias="schema")
    problem: str


class SchemasCheck(Document):
    """The number of schemas, and what is wrong with them."""

    schemas: int
    problems: list[SchemaProblemRow]


class SchemaVersionRow(Document):
    """A version of a schema that was released."""

    name: str = Field(alias="schema")
    version: int
    id: int


class RegistrationRow(Document):
    """A version of a schema in the registry."""

    subject: str
    version: int
    id: int | None = Field(description="Null: it would be registered (--dry-run).")
    new: bool


class BrokenRule(Document):
    """A rule of the topology that a declaration breaks."""

    rule: str
    subject: str
    problem: str


class TopologyCheck(Document):
    """The services, and the rules that they break."""

    services: list[str]
    problems: list[BrokenRule]


class EdgeRow(Document):
    """A type of message between two services."""

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    message: str
    kind: str
    topic: str
    control: str


class TopologyDocument(Document):
    """The flow as declared."""

    services: list[str]
    edges: list[EdgeRow]


class LifetimeRow(Document):
    """How long something is kept, and what follows then."""

    subject: str
    kept: str
    origin: str
    then: str | None
