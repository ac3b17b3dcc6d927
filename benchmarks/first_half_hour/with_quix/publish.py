from app import app

with app.get_producer() as producer:
    ordered = app.topic("coffee.ordered", key_serializer="str")
    message = ordered.serialize(key="ada", value={"guest": "ada", "drink": "espresso"})
    producer.produce(ordered.name, key=message.key, value=message.value)
