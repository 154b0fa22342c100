"""RabbitMQ 3.8 and later, through its management API; none of its messages is ever read."""

from scaledoctor.sources.rabbitmq._refusal import permit
from scaledoctor.sources.rabbitmq._rules import RabbitRules
from scaledoctor.sources.rabbitmq.clients import RabbitClient, RabbitClients
from scaledoctor.sources.rabbitmq.consumers import RabbitConsumer, RabbitConsumers
from scaledoctor.sources.rabbitmq.logins import RabbitLogin, RabbitLogins
from scaledoctor.sources.rabbitmq.nodes import RabbitMemory, RabbitNode, RabbitNodes
from scaledoctor.sources.rabbitmq.overview import RabbitAlarms, RabbitHidden, RabbitOverview
from scaledoctor.sources.rabbitmq.policies import RabbitPolicies, RabbitPolicy
from scaledoctor.sources.rabbitmq.rows import RabbitQueue, RabbitQueues

__all__ = [
    "RabbitAlarms",
    "RabbitClient",
    "RabbitClients",
    "RabbitConsumer",
    "RabbitConsumers",
    "RabbitHidden",
    "RabbitLogin",
    "RabbitLogins",
    "RabbitMemory",
    "RabbitNode",
    "RabbitNodes",
    "RabbitOverview",
    "RabbitPolicies",
    "RabbitPolicy",
    "RabbitQueue",
    "RabbitQueues",
    "RabbitRules",
    "permit",
]
