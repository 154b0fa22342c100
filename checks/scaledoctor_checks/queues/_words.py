"""Numbers of queues as people read them, and the commands of each framework."""

from math import inf
from shlex import quote

from scaledoctor.sources.queues import Queue
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.queues._flow import Flow

SOURCE = "lengths and times in the queue"


def jobs(count: float) -> str:
    """1 job, 1,200 jobs."""
    return f"{count:,.0f} job{'' if count == 1 else 's'}"


def depth(queue: Queue) -> str:
    """How many wait; where counting ended early: more than 10,000 jobs."""
    return f"more than {jobs(queue.ready - 1)}" if queue.more else jobs(queue.ready)


def rates(flow: Flow) -> str:
    """8.0/s come, 5.0/s are done; or by how much the depth changed."""
    if flow.arrival is None or flow.service is None:
        return f"{flow.grown:+,} in {duration(flow.seconds)}"
    return f"{flow.arrival:.1f}/s come, {flow.service:.1f}/s are done"


def course(flow: Flow) -> str:
    """What comes and goes, and when it is empty if all goes on like this."""
    if flow.seconds <= 0:
        return "one look tells no rate"
    drain = "never drains" if flow.drains == inf else f"drains in {duration(flow.drains)}"
    return f"{rates(flow)}: {drain}"


def bare(queue: Queue) -> str:
    """The name as its framework knows it, for a shell: without the database."""
    return quote(queue.name.rpartition("@")[0] or queue.name)


_START = {
    "rq": "rq worker {name}",
    "celery": "celery -A APP worker -Q {name}",
    "sidekiq": "bundle exec sidekiq -q {name}",
    "bullmq": "node -e 'new (require(\"bullmq\").Worker)(process.argv[1], PROCESSOR)' {name}",
    "arq": "arq MODULE.WorkerSettings  # queue_name = {name}",
    "dramatiq": "dramatiq MODULE --queues {name}",
    "huey": "huey_consumer MODULE.huey  # name = {name}",
    "stream": "redis-cli XINFO CONSUMERS {stream} {group}  # then start one",
    "rabbitmq": "# start whatever consumes from {name}; Celery: celery -A APP worker -Q {name}",
    "sqs": "# start whatever receives from {name}",
    "procrastinate": "procrastinate --app MODULE.app worker --queues {name}",
    "oban": "mix phx.server  # config :APP, Oban, queues: [{name}: 10]",
    "river": "# start a client with Queues: {{{name}: {{MaxWorkers: 100}}}}",
    "que": "bundle exec que --queue-name {name}",
    "good_job": "bundle exec good_job start --queues={name}",
    "solid_queue": "bin/jobs start  # config/queue.yml: workers: [queues: {name}]",
    "delayed_job": "bin/delayed_job --queue={name} start",
    "graphile-worker": "npx graphile-worker -c $DATABASE_URL  # with a task {name}",
    "pg-boss": "# start a process that calls boss.work({name}, ...)",
    "pgmq": "# start whatever reads {name}: SELECT * FROM pgmq.read({name}, 30, 1);",
}

_FAILED = {
    "rq": ("rq info {name}", "rq requeue --queue {name} --all"),
    "sidekiq": ("redis-cli ZREVRANGE dead 0 4",),
    "bullmq": ("redis-cli ZREVRANGE bull:{name}:failed 0 4",),
    "dramatiq": ("redis-cli ZREVRANGE dramatiq:{name}.XQ 0 4",),
    "rabbitmq": (
        "rabbitmqadmin -V {vhost} get queue={name} count=5 ackmode=ack_requeue_true",
        "# their header x-death says why and from which queue; a shovel puts them back",
    ),
    "sqs": (
        "URL=$(aws sqs get-queue-url --queue-name {name} --output text)",
        "ARN=$(aws sqs get-queue-attributes --queue-url $URL --attribute-names QueueArn "
        "--query Attributes.QueueArn --output text)",
        "aws sqs start-message-move-task --source-arn $ARN",
    ),
    "procrastinate": ("procrastinate --app MODULE.app shell  # list_jobs; retry ID",),
    "oban": ('# iex> Oban.retry_all_jobs(where(Oban.Job, state: "discarded", queue: {name}))',),
    "river": ("# River UI, state discarded, queue {name}; then client.JobRetry",),
    "good_job": ("# the dashboard, Discarded; or GoodJob::Job.discarded.find_each(&:retry_job)",),
    "solid_queue": (
        "bin/rails runner 'puts SolidQueue::FailedExecution.last(5).map(&:error)'",
        "bin/rails runner 'SolidQueue::FailedExecution.find_each(&:retry)'",
    ),
    "delayed_job": ("# Delayed::Job.where.not(failed_at: nil).last(5).map(&:last_error)",),
}

_RESUME = {
    "rq": "rq resume",
    "sidekiq": "redis-cli SREM paused {name}",
    "bullmq": "node -e 'new (require(\"bullmq\").Queue)(process.argv[1]).resume()' {name}",
    "river": "# client.QueueResume(ctx, {name}, nil)",
    "solid_queue": "bin/rails runner 'SolidQueue::Queue.find_by_name(ARGV[0]).resume' {name}",
}


def start(queue: Queue) -> str:
    """The command that starts a worker of this queue."""
    name = bare(queue)
    stream, _, group = name.partition("/")
    line = _START.get(queue.system, "start whatever takes jobs from {name}")
    return line.format(name=name, stream=stream, group=group)


def failed(queue: Queue) -> tuple[str, ...]:
    """The commands that show the failed jobs, and that put them back."""
    lines = _FAILED.get(queue.system, ("look at the failed jobs of {name}",))
    _, _, vhost = queue.name.rpartition("@") if "@" in queue.name else ("", "", "/")
    return tuple(line.format(name=bare(queue), vhost=quote(vhost)) for line in lines)


def resume(queue: Queue) -> str:
    """The command that lets a paused queue go on."""
    return _RESUME.get(queue.system, "resume {name}").format(name=bare(queue))
