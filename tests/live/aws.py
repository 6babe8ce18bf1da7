"""The emulator as tests use it: clients of any account, a bucket that notifies a queue, and what the emulator's wrapper can."""

import ctypes
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

REGION = "us-east-1"
OTHER_REGION = "eu-west-1"
HUB = "123456789012"  # the account of unknown keys: ours, with bucket and queue
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
START_SECONDS = 60
PR_SET_PDEATHSIG = 1
# Found before there are threads: a child of one of them may not wait for what another one holds.
LIBC = ctypes.CDLL(None)
T = TypeVar("T")


def until(what: str, look: Callable[[], T], seconds: float = 60.0, every: float = 0.1) -> T:
    """Looks until there is something to see, and says what was waited for in vain. What `look` fails with by `assert` is waited out."""
    deadline, last = time.monotonic() + seconds, None
    while True:
        try:
            if found := look():
                return found
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            __tracebackhide__ = True
            raise AssertionError(f"waited {seconds} s in vain for {what}; at last: {last}") from last
        time.sleep(every)


def becomes(what: str, look: Callable[[], T], wanted: T, seconds: float = 60.0) -> None:
    """Looks until what is seen is what is wanted, and else shows both."""

    def same() -> bool:
        seen = look()
        assert seen == wanted, f"{seen} is seen and {wanted} is wanted"
        return True

    until(what, same, seconds)


def end_with_parent() -> None:
    """For a child, before it starts: it is killed when this process is, however that ends (`man 2 PR_SET_PDEATHSIG`)."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def emulator(log: Path, *options: str) -> Iterator[str]:
    """Runs the emulator, with options of its command line, and gives its address."""
    command = [sys.executable, str(Path(__file__).with_name("moto_plus.py")), *options]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, preexec_fn=end_with_parent)
    try:

        def listening() -> re.Match[str] | None:
            if process.poll() is not None:
                raise RuntimeError(f"the emulator ended at once: {log.read_text()}")
            return re.search(r"listening at (http://\S+)\n", log.read_text())

        yield until("the emulator to start", listening, START_SECONDS)[1]
    finally:
        process.kill()
        process.wait()


@dataclass
class Aws:
    """The emulator, from outside."""

    url: str
    clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def admin(self, what: str, given: Any = None, method: str = "POST") -> Any:
        """Sets or asks something of the wrapper."""
        body = None if given is None else json.dumps(given).encode()
        request = urllib.request.Request(f"{self.url}/moto-plus/{what}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def client(self, service: str, account: str = HUB, region: str = REGION) -> Any:
        """A client that acts in an account."""
        name = (service, account, region)
        if name not in self.clients:
            config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=30)
            keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
            client = boto3.client(service, endpoint_url=self.url, region_name=region, config=config, **keys)
            client.meta.events.register("before-sign", lambda request, **_: request.headers.add_header("x-moto-account-id", account))
            self.clients[name] = client
        return self.clients[name]

    def fault(self, **rule: Any) -> None:
        """One rule more."""
        self.admin("faults", rule)

    def calls(self, **wanted: str) -> list[dict[str, Any]]:
        """The calls so far that are as wanted."""
        return [call for call in self.admin("calls", method="GET") if all(call[name] == value for name, value in wanted.items())]

    def role(self, account: str, external_id: str | list[str] | None = None, name: str = "metering", **how: Any) -> str:
        """Makes a role and gives its ARN."""
        arn = f"arn:aws:iam::{account}:role/{name}"
        self.admin("roles", {"arn": arn, "external_id": external_id, **how})
        return arn

    def run(self, account: str, region: str = REGION, count: int = 1, instance_type: str = "m5.large", image: str = "ami-0aa0aa0aa0aa0aa01") -> list[str]:
        """Runs instances and gives their ids."""
        wanted = {"ImageId": image, "InstanceType": instance_type, "MinCount": count, "MaxCount": count}
        return [i["InstanceId"] for i in self.client("ec2", account, region).run_instances(**wanted)["Instances"]]

    def change_instance(self, account: str, instance: str, region: str = REGION, **to: Any) -> None:
        """Changes an instance behind the API's back."""
        self.admin("instances", {"account": account, "region": region, "id": instance, **to})


@dataclass
class TrailBucket:
    """A bucket with logs, which notifies a queue."""

    aws: Aws
    name: str
    queue_name: str
    queue_url: str

    @classmethod
    def make(cls, aws: Aws, max_receives: int | None = None) -> "TrailBucket":
        """A new bucket and queue in our own account. With `max_receives` the queue has a queue for what was received in vain."""
        tag = uuid.uuid4().hex[:12]
        sqs, s3 = aws.client("sqs"), aws.client("s3")
        attributes: dict[str, str] = {"VisibilityTimeout": "30"}
        if max_receives is not None:
            dead = sqs.create_queue(QueueName=f"dead-{tag}")["QueueUrl"]
            arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": max_receives})
        url = sqs.create_queue(QueueName=f"trail-{tag}", Attributes=attributes)["QueueUrl"]
        bucket = cls(aws, f"trail-{tag}", f"trail-{tag}", url)
        s3.create_bucket(Bucket=bucket.name)
        bucket.notify(True)
        return bucket

    def put(self, key: str, body: bytes, **more: Any) -> None:
        """An object, of which the queue is notified."""
        self.aws.client("s3").put_object(Bucket=self.name, Key=key, Body=body, **more)

    def send(self, body: Any) -> None:
        """A message that did not come from the bucket."""
        self.aws.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody=body if isinstance(body, str) else json.dumps(body))

    def depth(self) -> int:
        """Messages that are in the queue, waiting or received and not deleted."""
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        told = self.aws.client("sqs").get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=wanted)["Attributes"]
        return sum(int(told[name]) for name in wanted)

    def show_hidden(self) -> None:
        """Ends the time for which received messages are hidden, as if the back-off had passed."""
        self.aws.admin("hidden-messages", {"account": HUB, "region": REGION, "name": self.queue_name})

    def notify(self, on: bool) -> None:
        """Whether the queue is told of new objects."""
        sqs, s3 = self.aws.client("sqs"), self.aws.client("s3")
        arn = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rules = [{"Name": "prefix", "Value": "AWSLogs/"}]
        what = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": rules}}}
        s3.put_bucket_notification_configuration(Bucket=self.name, NotificationConfiguration={"QueueConfigurations": [what] if on else []})

    def drained(self, seconds: float = 90.0) -> None:
        """Waits until the queue is empty."""
        until(f"{self.queue_name} to be empty", lambda: self.depth() == 0, seconds)

    def unkind(self, **how: Any) -> None:
        """Lets the queue deliver twice, in another order and a few at a time."""
        self.aws.admin("queues", {"name": self.queue_name, **how})
