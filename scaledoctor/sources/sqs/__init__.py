"""Amazon SQS and what speaks its JSON protocol, without Amazon's own client."""

from scaledoctor.sources.sqs.queue import SqsQueue, SqsQueues, SqsSources

__all__ = ["SqsQueue", "SqsQueues", "SqsSources"]
