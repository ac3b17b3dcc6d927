"""A small service in two releases, for what happens between them: its topics."""

from ensemble import Catalogue, Event, Topic

PARTITIONS = 4


def catalogue_of(name: str, sold: type[Event], counted: type[Event]) -> Catalogue:
    """Topics whose names begin with the service's."""
    return Catalogue(
        topics=(
            Topic(f"{name}.sales", "shop", "till", (sold,), PARTITIONS),
            Topic(f"{name}.counts", name, "till", (counted,), PARTITIONS, to_outside={counted: "for the test"}),
        ),
    )
