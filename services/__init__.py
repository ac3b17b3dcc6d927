"""The services of the order flow. Whoever imports one of them looks for the Kafka of docker-compose.yml as well."""

from ensemble.local_clusters import add_local_cluster
from services.local_cluster import find_composed

add_local_cluster(find_composed, "`./ensemble up` or `make up`")
