#!/bin/bash
# Runs a class of Kafka's jars.
exec java ${KAFKA_HEAP_OPTS:--Xmx256m} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC} \
    -Djava.awt.headless=true ${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=/etc/kafka/docker/tools-log4j2.yaml} \
    ${KAFKA_OPTS:-} -cp '/opt/kafka/libs/*' "$@"
