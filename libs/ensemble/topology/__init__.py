"""Derives the flow from declarations: graph, rules, pictures, and the permissions (ACLs) a service needs."""

from ensemble.topology.asyncapi import asyncapi
from ensemble.topology.graph import Edge, Graph, flow_of
from ensemble.topology.lifetimes import BrokerLifetimes, Lifetime, lifetimes
from ensemble.topology.permissions import (
    Grant,
    client_permissions,
    operator_permissions,
    registry_permissions,
    service_permissions,
)
from ensemble.topology.registry_subjects import Subject, registry_subjects
from ensemble.topology.rules import check_topology

__all__ = [
    "BrokerLifetimes",
    "Edge",
    "Grant",
    "Graph",
    "Lifetime",
    "Subject",
    "asyncapi",
    "check_topology",
    "client_permissions",
    "flow_of",
    "lifetimes",
    "operator_permissions",
    "registry_permissions",
    "registry_subjects",
    "service_permissions",
]
