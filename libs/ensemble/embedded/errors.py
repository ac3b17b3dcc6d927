"""What can go wrong with the embedded broker."""


class EmbeddedKafkaError(Exception):
    """The embedded broker cannot be had; the message says why, and what to do about it."""


ELSEWHERE = (
    "To use an existing cluster instead, set KAFKA_BOOTSTRAP_SERVERS "
    "(and, where it asks for them, KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME, "
    "KAFKA_SASL_PASSWORD)."
)
